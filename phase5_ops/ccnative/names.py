"""Tool and connector names: what is canonical, and which connector a tool runs through.

The platform sometimes emits the gateway form of a name, `<target>___<name>`: `internal-create-task___internal.create_task` for a
tool, `internal-create-task___internal` for a connector. It must be readable here, but a ready platform does not emit it.
"""

GATEWAY_SEPARATOR = "___"

#: Connector of a tool by the tool's prefix (the part before the dot), where the two differ or the platform documents it.
CONNECTOR_OF_PREFIX = {"internal": "internal", "crm": "crm_salesforce", "calendar": "calendar"}


def is_gateway_form(name: str) -> bool:
    """True for `<target>___<name>`."""
    return GATEWAY_SEPARATOR in name


def canonical_tool(name: str) -> str:
    """The tool behind a name, without the gateway's target prefix."""
    return name.rsplit(GATEWAY_SEPARATOR, 1)[-1]


def connector_of_tool(tool: str) -> str:
    """The connector a tool runs through: by its prefix (crm.* is crm_salesforce), else the part before the dot."""
    prefix = canonical_tool(tool).split(".", 1)[0]
    return CONNECTOR_OF_PREFIX.get(prefix, prefix)


def canonical_connector(connector_id: str) -> str:
    """The connector behind an id: `internal-create-task___internal` is internal, `crm-create-task___crm` is crm_salesforce."""
    bare = connector_id.rsplit(GATEWAY_SEPARATOR, 1)[-1]
    return CONNECTOR_OF_PREFIX.get(bare, bare)
