/**
 * Whether this caller may use the session it names. A session id proves nothing: the caller must be the principal
 * that opened it, of the same tenant and workspace. Unknown, ended and foreign sessions get one and the same answer (AZ-05, AZ-08).
 */
import { hash } from "node:crypto";
import { createFault, type Fault } from "../../errors/fault.ts";
import type { Credential, Principal } from "../../identity/principal.ts";
import type { Dispatch } from "../../pipeline/incoming.ts";
import type { Caller, Conversation } from "../conversation.ts";
import type { KeptFrom, LegacySession, Sessions } from "./sessions.ts";

export type Access =
  | { readonly session: LegacySession }
  /** `isRecorded`: admission refused, and recorded it; otherwise the fault has yet to go through dispatch. */
  | { readonly fault: Fault; readonly isRecorded: boolean };

export interface SessionAccess {
  find(caller: Caller, id: string): Promise<Access> | Access;
}

export function createSessionAccess(deps: {
  readonly dispatch: Pick<Dispatch, "admit">;
  readonly sessions: Sessions;
  readonly conversation: Pick<Conversation, "isValid">;
}): SessionAccess {
  async function identify(caller: Caller, session: LegacySession): Promise<Access> {
    const admitted = await deps.dispatch.admit(caller);
    if ("fault" in admitted) return { fault: admitted.fault, isRecorded: true };
    if (!isOwner(session, admitted.principal)) return unknownSession;
    session.principal = admitted.principal;
    session.from = keptFrom(caller);
    return { session };
  }

  return {
    find(caller, id) {
      const session = deps.sessions.find(id, caller.binding, caller.scope);
      if (session === undefined) return unknownSession;
      // The usual case: the very token that was accepted before, and it still holds.
      const isSameToken = session.from.digest === digestOf(caller.credential);
      if (isSameToken && deps.conversation.isValid(session.principal, caller)) return { session };
      return identify(caller, session);
    },
  };
}

const unknownSession: Access = Object.freeze({
  fault: createFault("session-unknown", "Session not found: send initialize again"),
  isRecorded: false,
});

/** Without the request itself, which is over: what it proved is remembered, its body is not. */
export function keptFrom({ binding, scope, credential, evidence, peer }: Caller): KeptFrom {
  if (evidence !== undefined) evidence.body = undefined;
  // Nor is the token: its digest knows it again.
  const kept = credential.kind === "bearer" ? { ...credential, token: "" } : credential;
  return { binding, scope, credential: kept, evidence, peer, digest: digestOf(credential) };
}

function digestOf(credential: Credential): string {
  switch (credential.kind) {
    case "bearer":
      return hash("sha256", credential.token, "base64");
    case "certificate":
      return `certificate:${hash("sha256", credential.certificate, "base64")}`;
    default:
      return credential.kind;
  }
}

function isOwner(session: LegacySession, principal: Principal): boolean {
  const { id, tenant, workspace } = session.principal;
  return id === principal.id && tenant === principal.tenant && workspace === principal.workspace;
}
