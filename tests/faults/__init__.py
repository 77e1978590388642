"""What happens when things break: killed engines, peers that are away, disks that are full."""
