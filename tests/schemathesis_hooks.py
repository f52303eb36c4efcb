"""What the document cannot say to schemathesis."""

import schemathesis
from schemathesis.generation import GenerationMode


@schemathesis.hook
def map_case(context, case):
    """Takes out of valid calls what makes them invalid; invalid ones still have it."""
    if case.meta and case.meta.generation.mode == GenerationMode.POSITIVE:
        # A valid cursor is one that was issued: none can be made up.
        case.query.pop("cursor", None)
        # A message to answer is one of the conversation that the answer goes to.
        if isinstance(case.body, dict):
            case.body.pop("reply_to", None)
        # A field's name goes into a header (RFC 7578, section 4.2), which not every text may.
        if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
            case.body = {name: value for name, value in case.body.items() if name.isidentifier() and name.isascii()}
    return case
