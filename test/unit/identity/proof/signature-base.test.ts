/** The published signatures of RFC 9421, appendix B.2, over the request they were made for. */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { type InnerList, parseDictionary } from "structured-headers";
import {
  buildSignatureBase,
  UncoveredError,
} from "../../../../src/identity/proof/signature-base.ts";
import { createVerifier } from "../../../../src/identity/proof/signing-key.ts";

const request = {
  method: "POST",
  url: "https://example.com/foo?param=Value&Pet=dog",
  headers: new Headers({
    host: "example.com",
    date: "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-digest":
      "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
    "content-length": "18",
  }),
};

const rsaKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----`;
const edKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----`;
const sharedSecret = Buffer.from(
  "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==",
  "base64",
);

const vectors: readonly (readonly [
  input: string,
  algorithm: "rsa-pss-sha512" | "ed25519",
  signature: string,
])[] = [
  [
    'sig=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    "rsa-pss-sha512",
    "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
  ],
  [
    'sig=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"',
    "rsa-pss-sha512",
    "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
  ],
  [
    'sig=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
    "rsa-pss-sha512",
    "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
  ],
  [
    'sig=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    "ed25519",
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
  ],
];

function coveredOf(input: string): InnerList {
  return parseDictionary(input).get("sig") as InnerList;
}

test.each(vectors)("A07: RFC 9421 B.2 verifies: %s", (input, algorithm, signature) => {
  const publicKey = algorithm === "ed25519" ? edKey : rsaKey;
  const key = { keyId: "k", algorithm, publicKey, salt: undefined };
  const verify = createVerifier("c", key, () => "");
  const base = buildSignatureBase(request, coveredOf(input));
  expect(verify(base, Buffer.from(signature, "base64"))).toBe(true);
  expect(verify(`${base} `, Buffer.from(signature, "base64"))).toBe(false);
});

test("A07: RFC 9421 B.2.5, HMAC over the same request", () => {
  const covered = coveredOf(
    'sig=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
  );
  const mac = createHmac("sha256", sharedSecret).update(buildSignatureBase(request, covered));
  expect(mac.digest("base64")).toBe("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
});

test("A07: derived components read as section 2.2 has them", () => {
  const rows: readonly (readonly [component: string, value: string])[] = [
    ['"@target-uri"', "https://example.com/foo?param=Value&Pet=dog"],
    ['"@request-target"', "/foo?param=Value&Pet=dog"],
    ['"@scheme"', "https"],
    ['"@query-param";name="param"', "Value"],
  ];
  for (const [component, value] of rows) {
    const covered = coveredOf(`sig=(${component});created=1`);
    expect(buildSignatureBase(request, covered)).toStartWith(`${component}: ${value}\n`);
  }
  const bare = { ...request, url: "https://EXAMPLE.com:443/" };
  const covered = coveredOf('sig=("@query" "@authority" "@path");created=1');
  expect(buildSignatureBase(bare, covered)).toStartWith(
    '"@query": ?\n"@authority": example.com\n"@path": /\n',
  );
});

test("A07: what cannot be read in one way alone is refused by name", () => {
  const rows = [
    '("@status")',
    '("date" "date")',
    '("missing")',
    '("Date")',
    '("content-digest";key="sha-512")',
    '("@method";req)',
    '("@query-param")',
    '("@query-param";name="none")',
    "(date)",
  ];
  for (const row of rows) {
    const build = () => buildSignatureBase(request, coveredOf(`sig=${row};created=1`));
    expect(build, row).toThrow(UncoveredError);
  }
});
