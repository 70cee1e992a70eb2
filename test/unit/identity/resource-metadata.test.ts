/** RFC 9728 documents and the header that points to them (fault AN-24). */
import { expect, test } from "bun:test";
import {
  buildResourceMetadata,
  resourceMetadataUrl,
  wwwAuthenticate,
} from "../../../src/identity/resource-metadata.ts";

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

test.each([
  [
    "https://gw.example/notes/mcp",
    "https://gw.example/.well-known/oauth-protected-resource/notes/mcp",
  ],
  ["https://gw.example/", "https://gw.example/.well-known/oauth-protected-resource"],
])("%s lies at %s", (resource, url) => {
  expect(resourceMetadataUrl(resource)).toBe(url);
});

test.each([
  [undefined, undefined, "Bearer"],
  ["https://u", undefined, 'Bearer resource_metadata="https://u"'],
  [
    "https://u",
    'error="invalid_token"',
    'Bearer error="invalid_token", resource_metadata="https://u"',
  ],
  ['https://u"\r\nx: y', undefined, 'Bearer resource_metadata="https://u\\"x: y"'],
])("AN-24 header for %p and %p", (metadataUrl, challenge, want) => {
  expect(wwwAuthenticate({ metadataUrl, challenge })).toBe(want);
});
