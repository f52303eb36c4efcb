"""Adapts generated calls to rules that the API document cannot express."""

import json

import schemathesis
from schemathesis.generation import GenerationMode

# A point of the curve P-256: the key of RFC 8291, appendix A.
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
# The fields of a picture: by a link, and by an upload.
PICTURES = [("photo_url", "photo_attachment_id"), ("avatar_url", "avatar_attachment_id")]


@schemathesis.hook
def map_case(context, case):
    """Removes or replaces what would make a valid call invalid. Invalid calls keep it."""
    if case.meta and case.meta.generation.mode == GenerationMode.POSITIVE:
        # Only cursors that the server issued are valid, so none can be generated.
        case.query.pop("cursor", None)
        # A reply must be to a message of the same conversation.
        if isinstance(case.body, dict):
            case.body.pop("reply_to", None)
            # Only uploads that the server issued are valid.
            for link, upload in PICTURES:
                if case.body.pop(upload, None) is not None:
                    case.body.setdefault(link, None)
            # A schema cannot bound the bytes of an object.
            if len(json.dumps(case.body.get("custom"))) > 1_000:
                case.body["custom"] = {}
            # A conversation is pinned or archived, and a picture has no preview.
            if case.body.get("pinned"):
                case.body.pop("archived", None)
            if case.body.get("purpose") == "picture":
                case.body.pop("preview_size", None)
        # The operator chooses which push services are allowed, and no pattern can tell whether a point is on the curve.
        if case.operation.definition.raw.get("operationId") == "subscribeToPushes" and isinstance(case.body, dict):
            case.body["endpoint"] = "http://127.0.0.1:9/" + str(len(case.body["endpoint"]))
            case.body["keys"]["p256dh"] = POINT
        # Unicode's data says which texts are one emoji.
        if "emoji" in case.path_parameters:
            case.path_parameters["emoji"] = "👍"
        # A field's name becomes part of a header (RFC 7578, section 4.2), which does not allow every text.
        if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
            case.body = {name: value for name, value in case.body.items() if name.isidentifier() and name.isascii()}
    return case
