/** RFC 9728 documents and the header that points to them (fault AN-24). */
import { expect, test } from "bun:test";
import {
  authorizationServerMetadataUrl,
  buildResourceMetadata,
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

test("clients of 2025-03-26 are led to the first issuer that has an address", () => {
  const url = "https://as.example/t/.well-known/openid-configuration";
  expect(authorizationServerMetadataUrl(["name", "https://as.example/t"])).toBe(url);
  expect(authorizationServerMetadataUrl(["https://as.example/t/"])).toBe(url);
  expect(authorizationServerMetadataUrl(["name"])).toBeUndefined();
  expect(authorizationServerMetadataUrl([])).toBeUndefined();
});
