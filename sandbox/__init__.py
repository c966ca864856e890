"""Local stand-ins for the third parties: one process on loopback that speaks their wire formats, `python -m sandbox`.

Its cryptography is written apart from that of the gateways, so that each is a witness for the other.
"""
