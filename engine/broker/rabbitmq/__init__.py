"""Envelopes in RabbitMQ's quorum queues, for several engine processes and nodes.

`address` reads CAREBUS_BROKER_URL, `topology` says what is declared, `envelopes` what travels,
`link` keeps a connection, `declaring`, `publisher` and `feed` use one each, `mending` replaces a
queue that is ill, `broker` puts them together.

RabbitMQ 3.10 and 4.x are spoken to alike.  What differs between them, and what makes it not matter:

* 4.x gives a quorum queue a delivery limit of 20, 3.10 none.  Both take the limit that is declared.
* Without a limit 3.10 puts a returned envelope at the back of its queue, with one near its head:
  order needs the limit to be declared.
* 4.x has two priorities in quorum queues, 3.10 none.  They are not used.
* 4.3 counts a `reject` and no `nack` against the limit, earlier ones count both; the limit declared
  here is far above what either reaches.
* Only durable, non-exclusive queues are declared, so the end of transient ones in 4.x is no loss.
"""
