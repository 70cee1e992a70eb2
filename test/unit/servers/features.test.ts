/** What the agent behind a request can be asked, and what a server may answer it with. */
import { expect, test } from "bun:test";
import { noFeatures } from "../../../src/protocol/client-features.ts";
import { featuresOf, resultTypesOf } from "../../../src/servers/features.ts";
import { forwardedCapabilities } from "../../../src/servers/modern.ts";
import { requestOf } from "./support.ts";

const tasks = '"io.modelcontextprotocol/tasks":{}';

test("capabilities that let nothing be asked are none at all", () => {
  for (const clientCapabilitiesText of ["{}", '{"experimental":{}}', '{"roots":true}']) {
    expect(featuresOf(requestOf("tools/call", "{}", { clientCapabilitiesText }))).toBe(noFeatures);
  }
  const clientCapabilitiesText = '{"roots":{}}';
  const request = requestOf("tools/call", "{}", { clientCapabilitiesText });
  expect(featuresOf(request)).toMatchObject({ roots: true, sampling: false });
  expect(featuresOf(request)).toBe(featuresOf(request));
});

test.each([
  ["tools/list", "{}", "{}", undefined],
  ["tools/call", "{}", "{}", ["input_required"]],
  ["resources/read", `{"extensions":{${tasks}}}`, `{"extensions":{${tasks}}}`, ["input_required"]],
  ["tools/call", `{"extensions":{${tasks}}}`, "{}", ["input_required"]],
  ["tools/call", "{}", `{"extensions":{${tasks}}}`, ["input_required"]],
  [
    "tools/call",
    `{"extensions":{${tasks}}}`,
    `{"extensions":{${tasks}}}`,
    ["input_required", "task"],
  ],
  ["prompts/get", `{"extensions":{${tasks}}}`, `{"extensions":{${tasks}}}`, ["input_required"]],
  ["tasks/get", `{"extensions":{${tasks}}}`, `{"extensions":{${tasks}}}`, ["task"]],
])("%s of an agent with %s, at a server with %s, may end as %p", (method, text, offered, types) => {
  const request = requestOf(method, "{}", { clientCapabilitiesText: text });
  const allowed = resultTypesOf(request, offered);
  expect(allowed && [...allowed]).toEqual(types);
});

test("a server may answer with a task exactly where it was told of the extension", () => {
  const both = `{"extensions":{${tasks}}}`;
  const isTold = forwardedCapabilities(both, both).includes("tasks");
  const allowed = resultTypesOf(
    requestOf("tools/call", "{}", { clientCapabilitiesText: both }),
    both,
  );
  expect(allowed?.has("task")).toBe(isTold);
});
