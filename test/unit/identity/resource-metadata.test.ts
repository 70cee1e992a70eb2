/** RFC 9728 documents and the header that points to them (fault AN-24). */
import { expect, test } from "bun:test";
import { buildResourceMetadata } from "../../../src/identity/resource-metadata.ts";

test("the document names the endpoint itself and the issuers", () => {
  const resource = "https://gw.example/notes/mcp";
  expect(buildResourceMetadata({ resource, issuers: [] })).toBeUndefined();
  expect(buildResourceMetadata({ resource, issuers: ["https://idp"] })).toEqual({
    resource,
    authorization_servers: ["https://idp"],
    bearer_methods_supported: ["header"],
  });
  expect(buildResourceMetadata({ resource, issuers: ["i"], scopes: ["mcp"] })).toMatchObject({
    scopes_supported: ["mcp"],
  });
});
