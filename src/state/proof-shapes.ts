/**
 * What clients are registered with to prove themselves: networks, certificates, signing keys. Shapes like those of
 * `resource-shapes.ts`, which uses them.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { isNetwork, networkForm } from "../lib/networks.ts";
import {
  list,
  matching,
  object,
  oneOf,
  optional,
  refuseField,
  type Shape,
  text,
} from "./body-shape.ts";
import type { ClientResource, SigningKeyResource } from "./resources.ts";

const network: Shape<string> = (value, path) => {
  const read = text(64, 1)(value, path);
  return isNetwork(read) ? read : refuseField(path, `must be ${networkForm}`);
};

/** Lower-case names, since that is how certificates' names are compared. */
const certificate = matching(
  /^(sha256:[0-9a-f]{64}|dns:[a-z0-9_*.-]{1,253}|uri:[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,1024})$/,
  1100,
  '"sha256:" and 64 lower-case hex digits, "dns:" and a lower-case name, or "uri:" and a URI',
);

const signingKeyMembers = object<SigningKeyResource>({
  keyId: matching(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 128, "1 to 128 visible characters"),
  algorithm: oneOf(["hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"]),
  publicKey: optional(text(8192, 1)),
  salt: optional(matching(/^[A-Za-z0-9_-]{22}$/, 22, "a salt from IssueSigningSecret")),
});

const signingKey: Shape<SigningKeyResource> = (value, path) => {
  const key = signingKeyMembers(value, path);
  if (key.algorithm === "hmac-sha256") {
    if (key.salt !== undefined && key.publicKey === undefined) return key;
    return refuseField(path, "hmac-sha256 needs a salt, no public key: use IssueSigningSecret");
  }
  if (key.salt !== undefined) refuseField(`${path}.salt`, "is for hmac-sha256 alone");
  checkPublicKey(key.algorithm, key.publicKey, `${path}.publicKey`);
  return key;
};

export const proofMembers = {
  allowedNetworks: optional(list(network, 256)),
  deniedNetworks: optional(list(network, 256)),
  certificates: optional(list(certificate, 16)),
  signingKeys: optional(list(signingKey, 16)),
  requireSignatures: optional<boolean>((value, path) =>
    typeof value === "boolean" ? value : refuseField(path, "must be true or false"),
  ),
};

/** What only the whole client can say. */
export function checkProofs(client: ClientResource, path: string): void {
  const keyIds = (client.signingKeys ?? []).map(({ keyId }) => keyId);
  if (new Set(keyIds).size < keyIds.length) {
    refuseField(`${path}.signingKeys`, "there are two of one key id");
  }
  if (client.requireSignatures === true && keyIds.length === 0) {
    refuseField(`${path}.requireSignatures`, "needs a signing key: no request could be signed");
  }
}

interface KeyForm {
  readonly wanted: string;
  readonly fits: (key: KeyObject) => boolean;
}

const rsaBitsMin = 2048;
const keyForms: Readonly<Record<Exclude<SigningKeyResource["algorithm"], "hmac-sha256">, KeyForm>> =
  {
    ed25519: { wanted: "an Ed25519 key", fits: (key) => key.asymmetricKeyType === "ed25519" },
    "ecdsa-p256-sha256": {
      wanted: "a key of the curve P-256",
      fits: (key) => key.asymmetricKeyDetails?.namedCurve === "prime256v1",
    },
    "rsa-pss-sha512": {
      wanted: `an RSA key of at least ${rsaBitsMin} bits`,
      fits: ({ asymmetricKeyType: type, asymmetricKeyDetails: details }) =>
        (type === "rsa" || type === "rsa-pss") && (details?.modulusLength ?? 0) >= rsaBitsMin,
    },
  };

function checkPublicKey(
  algorithm: keyof typeof keyForms,
  publicKey: string | undefined,
  path: string,
): void {
  const { wanted, fits } = keyForms[algorithm];
  if (!fits(readPublicKey(publicKey, path))) refuseField(path, `must be ${wanted}`);
}

function readPublicKey(pem: string | undefined, path: string): KeyObject {
  // A private key would give a public one too, and must not lie in our database.
  if (pem === undefined || !pem.includes("-----BEGIN PUBLIC KEY-----")) {
    return refuseField(path, 'must be PEM that starts with "-----BEGIN PUBLIC KEY-----"');
  }
  try {
    return createPublicKey(pem);
  } catch {
    return refuseField(path, "is not a public key that can be read");
  }
}
