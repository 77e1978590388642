"""The schema's history (Alembic), applied when a store is opened.

``bring_up_to_date`` reads one row when nothing is to be done, and loads Alembic only otherwise.
"""
