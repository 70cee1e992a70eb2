/** Which names are masked and which survive: the table of requirement S01. */
import { describe, expect, test } from "bun:test";
import { isSensitiveName, mayHoldSecrets } from "../../../src/sanitize/fields.ts";

const masked = [
  "password",
  "Password",
  "PASSWORD",
  "passwd",
  "pwd",
  "userPassword",
  "password_hash",
  "db-password",
  "passphrase",
  "secret",
  "secrets",
  "client_secret",
  "clientSecret",
  "clientsecret",
  "secretKey",
  "token",
  "Token",
  "tokens",
  "access_token",
  "accessToken",
  "refreshToken",
  "id_token",
  "csrfToken",
  "githubToken2",
  "token_value",
  "apiKey",
  "api_key",
  "API_KEY",
  "APIKey",
  "x-api-key",
  "apikey",
  "privateKey",
  "private_key",
  "PRIVATE-KEY",
  "sshPrivateKey",
  "accessKey",
  "aws_access_key_id",
  "credential",
  "credentials",
  "userCredentials",
  "Authorization",
  "authorization",
  "proxy-authorization",
  "credit_card",
  "creditCard",
  "creditCardNumber",
  "cardNumber",
  "ssn",
  "SSN",
  "user_ssn",
  "socialSecurityNumber",
  "cvv",
  "jwt",
  "set-cookie",
];

const spared = [
  "nextCursor",
  "nextToken",
  "next_token",
  "pageToken",
  "nextPageToken",
  "NextContinuationToken",
  "continuationToken",
  "previousToken",
  "progressToken",
  "keywords",
  "keyword",
  "monkey",
  "key",
  "keys",
  "keyboard",
  "primaryKey",
  "publicKey",
  "foreign_key",
  "hotkey",
  "turkey",
  "tokenType",
  "token_type",
  "tokenCount",
  "tokenizer",
  "tokenized",
  "secretary",
  "passenger",
  "passport",
  "compass",
  "bypass",
  "passwordPolicy",
  "password_required",
  "passwordExpiresAt",
  "expires_in",
  "author",
  "authorized",
  "authorizations",
  "card",
  "cards",
  "cardinality",
  "discard",
  "social",
  "cookie",
  "header",
  "session",
  "lesson",
  "assignment",
  "",
  "name",
  "text",
  "uri",
  "mimeType",
];

describe("S01 field names", () => {
  test.each(masked)("%p is sensitive", (name) => {
    expect(isSensitiveName(name)).toBe(true);
    expect(mayHoldSecrets(JSON.stringify({ [name]: 1 }))).toBe(true);
  });

  test.each(spared)("%p survives", (name) => {
    expect(isSensitiveName(name)).toBe(false);
  });

  test("an escaped name is not overlooked by the cheap look", () => {
    expect(mayHoldSecrets('{"\\u0070\\u0061ss":1}')).toBe(true);
    expect(mayHoldSecrets('{"city":"Oslo"}')).toBe(false);
  });

  test("an absurdly long name is masked rather than split", () => {
    expect(isSensitiveName(`${"x".repeat(5000)}key`)).toBe(true);
  });
});
