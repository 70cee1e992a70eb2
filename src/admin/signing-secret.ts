/**
 * Issues the shared secrets that clients sign requests with: a fresh salt goes into the client's registration, and
 * the secret that is derived with it into the answer, once. Called by ClientService.
 */
import type { IssueSigningSecretRequest, IssueSigningSecretResponse } from "../gen/types.ts";
import { createSigningSalt, type SigningSecret } from "../identity/proof/signing-key.ts";
import { clientShape } from "../state/resource-shapes.ts";
import type { Caller } from "./caller.ts";
import type { StateWriter } from "./change-state.ts";
import { needResource, writeAs } from "./resource-crud.ts";

export async function issueSigningSecret(
  deps: { readonly state: StateWriter; readonly signingSecret: SigningSecret },
  request: IssueSigningSecretRequest,
  caller: Caller,
): Promise<IssueSigningSecretResponse> {
  const { client_id: clientId, key_id: keyId } = request;
  const salt = createSigningSalt();
  const key = { keyId, algorithm: "hmac-sha256", publicKey: undefined, salt } as const;
  const { stateRevision } = await writeAs(
    deps.state,
    (view) => {
      const client = clientShape(needResource(view, "client", "client", clientId).body, "client");
      const others = (client.signingKeys ?? []).filter((one) => one.keyId !== keyId);
      const body = { ...client, signingKeys: [...others, key] };
      return [{ kind: "client", name: clientId, body }];
    },
    request,
    caller,
  );
  // A dry run added no key, so there is no secret.
  const secret = request.validate_only ? "" : deps.signingSecret(clientId, keyId, salt);
  return { secret, state_revision: stateRevision };
}
