/** Bytes that protobufjs would decode without a word. */
import { describe, expect, test } from "bun:test";
import { findWireProblem } from "../../../src/admin/wire-check.ts";
import wire from "../../../src/gen/wire.json";

const type = (name: string) => `mcp_gateway.admin.v1.${name}`;
const limits = { depthMax: 32, fieldsMax: 1000 };
const delimited = (field: number, bytes: readonly number[]) => [
  (field << 3) | 2,
  bytes.length,
  ...bytes,
];
const text = (field: number, value: string) => delimited(field, [...Buffer.from(value)]);

describe("AD-07 findWireProblem", () => {
  test.each([
    ["nothing", "GetClientRequest", [], undefined],
    ["a text", "GetClientRequest", text(1, "ci"), undefined],
    ["an unknown field", "GetClientRequest", text(9, "x"), "message: unknown field 9"],
    ["field zero", "GetClientRequest", [0x02, 0x00], "message: unknown field 0"],
    ["a field twice", "GetClientRequest", [...text(1, "a"), ...text(1, "b")], "id: given twice"],
    ["two of a oneof", "Server", [...delimited(3, []), ...delimited(4, [])], "remote: given twice"],
    ["two optionals", "ClientLimits", [0x08, 1, 0x10, 1], undefined],
    ["repeated twice", "Client", [...text(4, "a"), ...text(4, "b")], undefined],
    ["a wrong wire type", "GetClientRequest", [0x08, 1], "id: wrong wire type"],
    ["broken UTF-8", "GetClientRequest", delimited(1, [0xc3, 0x28]), "id: not valid UTF-8"],
    ["a surrogate", "GetClientRequest", delimited(1, [0xed, 0xa0, 0x80]), "id: not valid UTF-8"],
    [
      "nested unknown",
      "UpdateClientRequest",
      delimited(1, text(30, "x")),
      "client: unknown field 30",
    ],
    ["an unknown enum value", "Permission", [0x10, 99], "actions: unknown enumeration value"],
    ["packed enums", "Permission", delimited(2, [1, 2]), undefined],
    [
      "packed, one unknown",
      "Permission",
      delimited(2, [1, 9]),
      "actions: unknown enumeration value",
    ],
    ["a map", "RemoteTransport", delimited(3, [...text(1, "k"), ...text(2, "v")]), undefined],
    ["a third map part", "RemoteTransport", delimited(3, text(3, "k")), "headers: unknown field 3"],
    ["a cut varint", "ListClientsRequest", [0x08, 0x80], "message ends inside a number"],
    [
      "an endless varint",
      "ListClientsRequest",
      [0x08, ...Array(11).fill(0x80)],
      "number longer than 10 bytes",
    ],
    [
      "int32 out of range",
      "ListClientsRequest",
      [0x08, 0xff, 0xff, 0xff, 0xff, 0x7f],
      "page_size: number out of range",
    ],
    ["a negative int32", "ListClientsRequest", [0x08, ...Array(9).fill(0xff), 0x01], undefined],
    [
      "int64 beyond 2^53",
      "DeleteClientRequest",
      [0x70, ...Array(8).fill(0xff), 0x7f],
      "expected_state_revision: number out of range",
    ],
    ["a cut length", "GetClientRequest", [0x0a, 0x05, 0x61], "id: longer than its message"],
    [
      "a length of 4 GiB",
      "GetClientRequest",
      [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
      "id: longer than its message",
    ],
  ])("%s", (_name, message, bytes, expected) => {
    expect(findWireProblem(type(message), Uint8Array.from(bytes), limits)).toBe(expected);
  });

  test("depth and the number of fields are bounded", () => {
    const nested = Uint8Array.from(delimited(1, delimited(9, [])));
    const shallow = { depthMax: 2, fieldsMax: 10 };
    expect(findWireProblem(type("UpdateClientRequest"), nested, shallow)).toContain(
      "nested too deeply",
    );
    const many = Uint8Array.from(Array.from({ length: 11 }, () => text(4, "a")).flat());
    expect(findWireProblem(type("Client"), many, shallow)).toContain("too many fields");
  });
});

test("AZ-18: no message of any request takes a field it does not have", () => {
  const messages: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> =
    wire.messages;
  const roots = Object.values(wire.requests).filter((name) => name.startsWith(type("")));
  const met = new Set<string>();
  const tryOut = (name: string, wrap: (bytes: readonly number[]) => readonly number[]) => {
    met.add(name);
    // Field 2047 with the text "1": what an invented `is_admin` would look like on the wire.
    const invented = wrap([0xfa, 0x7f, 0x01, 0x31]);
    const root = roots.at(at) ?? "";
    expect(findWireProblem(root, Buffer.from(invented), limits)).toContain("unknown field 2047");
    for (const [id, [, kind = "", rule]] of Object.entries(messages[name] ?? {})) {
      const inner = kind.startsWith("message:") ? kind.slice("message:".length) : "";
      if (inner === "" || rule === "map" || Number(id) > 15) continue;
      if (!met.has(`${root} ${inner}`)) {
        met.add(`${root} ${inner}`);
        tryOut(inner, (bytes) => wrap(delimited(Number(id), bytes)));
      }
    }
  };
  let at = 0;
  for (; at < roots.length; at += 1) tryOut(roots[at] ?? "", (bytes) => bytes);
  expect(roots.length).toBeGreaterThan(50);
  for (const nested of ["Role", "Permission", "Client", "ClientLimits", "RecordFilter"]) {
    expect(met).toContain(type(nested));
  }
});
