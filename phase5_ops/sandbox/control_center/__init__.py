"""The sandbox's Control Center and decision API over HTTP, and the faults that can be planted in them."""
