"""The way out: every HTTP request to an address that a user chose goes through this guarded client."""

from outbound.addresses import AddressRules
from outbound.client import Answer, OutboundClient
from outbound.failures import OutboundFailure

__all__ = ["AddressRules", "Answer", "OutboundClient", "OutboundFailure"]
