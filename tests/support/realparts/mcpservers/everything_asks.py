"""Tools of `everything.py` that ask the client something before they answer."""

from __future__ import annotations

import json

import mcp_types as types
from everything_call import (
    OBJECT,
    ROOTS,
    STRING,
    TOOLS,
    Call,
    form,
    properties,
    said,
    sample,
    text,
    tool,
)


@tool("test_sampling", "Has the client's model say something", properties(prompt=STRING))
async def sampling(call: Call) -> types.CallToolResult:
    if not call.can("sampling"):
        return text("The client has no sampling", is_error=True)
    found = await call.ask({"said": sample(str(call.arguments["prompt"]))})
    return text(f"LLM response: {said(found['said'])}")


async def _fill_in(call: Call, request: types.ElicitRequest, words: str) -> types.CallToolResult:
    if not call.can("elicitation"):
        return text("The client has no elicitation", is_error=True)
    found = (await call.ask({"form": request}))["form"]
    return text(f"{words}: action={found['action']}, content={json.dumps(found.get('content') or {})}")


@tool("test_elicitation", "Has the user fill in a form", properties(message=STRING))
async def elicitation(call: Call) -> types.CallToolResult:
    username = {"type": "string", "description": "User's response"}
    email = {"type": "string", "description": "User's email address"}
    return await _fill_in(call, form(str(call.arguments["message"]), username=username, email=email), "User response")


@tool("test_streaming_elicitation", "Tells of its progress and then has the user fill in a form")
async def streaming_elicitation(call: Call) -> types.CallToolResult:
    await call.progress(1, 2)
    return await _fill_in(call, form("What is your name?", name=STRING), "User response")


@tool("test_elicitation_sep1034_defaults", "Has the user fill in a form with defaults")
async def elicitation_defaults(call: Call) -> types.CallToolResult:
    request = form(
        "Please look at these",
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "default": True},
    )
    return await _fill_in(call, request, "Elicitation completed")


@tool("test_elicitation_sep1330_enums", "Has the user choose")
async def elicitation_enums(call: Call) -> types.CallToolResult:
    plain = ["option1", "option2", "option3"]

    def titled(word: str) -> list[dict[str, str]]:
        return [
            {"const": f"value{n + 1}", "title": f"{nth} {word}"} for n, nth in enumerate(("First", "Second", "Third"))
        ]

    legacy = {"type": "string", "enum": ["opt1", "opt2", "opt3"]}
    request = form(
        "Please choose",
        untitledSingle={"type": "string", "enum": plain},
        titledSingle={"type": "string", "oneOf": titled("Option")},
        legacyEnum={**legacy, "enumNames": ["Option One", "Option Two", "Option Three"]},
        untitledMulti={"type": "array", "items": {"type": "string", "enum": plain}},
        titledMulti={"type": "array", "items": {"anyOf": titled("Choice")}},
    )
    return await _fill_in(call, request, "Elicitation completed")


@tool("test_input_required_result_elicitation", "Asks for a name")
async def input_elicitation(call: Call) -> types.CallToolResult:
    found = await call.ask({"user_name": form("What is your name?", name=STRING)})
    return text(f"Hello, {(found['user_name'].get('content') or {}).get('name', 'nobody')}!")


@tool("test_input_required_result_sampling", "Asks the client's model")
async def input_sampling(call: Call) -> types.CallToolResult:
    found = await call.ask({"capital_question": sample("What is the capital of France?")})
    return text(f"The model says: {said(found['capital_question'])}")


@tool("test_input_required_result_list_roots", "Asks for the client's roots")
async def input_list_roots(call: Call) -> types.CallToolResult:
    found = await call.ask({"client_roots": ROOTS})
    return text("Roots: " + ", ".join(str(root["uri"]) for root in found["client_roots"]["roots"]))


@tool("test_input_required_result_request_state", "Asks, and wants its state back")
async def input_request_state(call: Call) -> types.CallToolResult:
    await call.ask({"confirm": form("Please confirm", ok={"type": "boolean"})}, "asked")
    return text("state-ok" if call.state == "asked" or not call.modern else "state-lost")


TOOLS["test_input_required_result_tampered_state"] = (
    types.Tool(
        name="test_input_required_result_tampered_state",
        description="Asks, and wants its state back",
        input_schema=OBJECT,
    ),
    input_request_state,
)


@tool("test_input_required_result_multiple_inputs", "Asks for three things at once")
async def input_multiple(call: Call) -> types.CallToolResult:
    needs: dict[str, types.InputRequest] = {
        "user_name": form("What is your name?", name=STRING),
        "greeting": sample("Generate a greeting", 50),
        "client_roots": ROOTS,
    }
    found = await call.ask(needs, "asked")
    name = (found["user_name"].get("content") or {}).get("name", "nobody")
    return text(f"{said(found['greeting'])} {name}, {len(found['client_roots']['roots'])} roots")


@tool("test_input_required_result_multi_round", "Asks twice")
async def input_multi_round(call: Call) -> types.CallToolResult:
    name = call.state.removeprefix("2:") if call.state and call.state.startswith("2:") else None
    if name is None:
        found = await call.ask({"step1": form("Step 1: What is your name?", name=STRING)}, "1:")
        name = str((found["step1"].get("content") or {}).get("name", "nobody"))
    found = await call.ask({"step2": form("Step 2: What is your favorite color?", color=STRING)}, f"2:{name}")
    return text(f"{name} likes {(found['step2'].get('content') or {}).get('color', 'nothing')}")


@tool("test_input_required_result_capabilities", "Asks only for what the client can do")
async def input_capabilities(call: Call) -> types.CallToolResult:
    needs: dict[str, types.InputRequest] = {}
    if call.can("sampling"):
        needs["greeting"] = sample("Generate a greeting", 50)
    if call.can("elicitation"):
        needs["user_name"] = form("What is your name?", name=STRING)
    if call.can("roots"):
        needs["client_roots"] = ROOTS
    found = await call.ask(needs) if needs else {}
    return text(f"Asked for: {', '.join(sorted(found))}")
