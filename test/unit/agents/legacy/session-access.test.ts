import { expect, test } from "bun:test";
import type { Caller } from "../../../../src/agents/conversation.ts";
import { createSessionAccess, keptFrom } from "../../../../src/agents/legacy/session-access.ts";
import { createSessions } from "../../../../src/agents/legacy/sessions.ts";
import type { Principal } from "../../../../src/identity/principal.ts";
import { createFakeDispatch } from "../../../support/fake-dispatch.ts";

const clock = { nowMs: () => 0, monotonicMs: () => 0 };

function callerWith(token: string, scope = "notes"): Caller {
  return {
    binding: "http",
    scope,
    credential: { kind: "bearer", token },
    peer: { address: "127.0.0.1" },
    origin: undefined,
    requestId: undefined,
    traceparent: undefined,
  };
}

test("AZ-05: the same principal in another tenant or workspace is nobody the session knows", async () => {
  const fake = createFakeDispatch({ first: "alice", second: "alice" });
  let more: Partial<Principal> = { tenant: "a", workspace: "w" };
  const dispatch = {
    async admit(caller: Caller) {
      const admitted = await fake.admit(caller);
      return "fault" in admitted ? admitted : { principal: { ...admitted.principal, ...more } };
    },
  };
  const limits = { sessionsMax: 1, sessionsPerPrincipalMax: 1, sessionIdleMs: 1_000 };
  const sessions = createSessions({ clock, ...limits, sessionMaxMs: 1_000_000 });
  const conversation = { isValid: () => true };
  const access = createSessionAccess({ dispatch, sessions, conversation });
  const admitted = await dispatch.admit(callerWith("first"));
  if ("fault" in admitted) throw new Error("alice was not admitted");
  const session = sessions.open({
    binding: "http",
    scope: "notes",
    revision: "2025-11-25",
    clientInfoText: undefined,
    capabilitiesText: "{}",
    principal: admitted.principal,
    from: keptFrom(callerWith("first")),
  })!;
  expect(sessions.list()).toMatchObject([{ tenant: "a" }]);
  for (const other of [
    { tenant: "a:b" },
    { tenant: "A" },
    { tenant: undefined },
    { workspace: "v" },
  ]) {
    more = { tenant: "a", workspace: "w", ...other };
    const found = await access.find(callerWith("second"), session.id);
    expect(found).toMatchObject({ fault: { name: "session-unknown" }, isRecorded: false });
  }
  more = { tenant: "a", workspace: "w" };
  expect(await access.find(callerWith("second"), session.id)).toEqual({ session });
});

test("AZ-05: the owner by the same token, the owner by a new token, and nobody else", async () => {
  const dispatch = createFakeDispatch({ old: "alice", renewed: "alice", other: "bob" });
  const sessions = createSessions({
    clock,
    sessionsMax: 1,
    sessionsPerPrincipalMax: 10,
    sessionIdleMs: 1_000,
    sessionMaxMs: 1_000_000,
  });
  const isValid = (principal: Principal) => dispatch.stillValid(principal);
  const access = createSessionAccess({ dispatch, sessions, conversation: { isValid } });
  const admitted = await dispatch.admit(callerWith("old"));
  if ("fault" in admitted) throw new Error("alice was not admitted");
  const session = sessions.open({
    binding: "http",
    scope: "notes",
    revision: "2025-11-25",
    clientInfoText: undefined,
    capabilitiesText: "{}",
    principal: admitted.principal,
    from: keptFrom(callerWith("old")),
  })!;

  expect(await access.find(callerWith("old"), session.id)).toEqual({ session });
  const unknown = { fault: { name: "session-unknown" }, isRecorded: false };
  expect(await access.find(callerWith("other"), session.id)).toMatchObject(unknown);
  expect(await access.find(callerWith("old", "all"), session.id)).toMatchObject(unknown);
  expect(await access.find(callerWith("old"), "guess")).toMatchObject(unknown);
  expect(await access.find(callerWith("bad"), session.id)).toMatchObject({
    fault: { name: "unauthenticated" },
    isRecorded: true,
  });
  dispatch.revoke("old");
  expect(await access.find(callerWith("old"), session.id)).toMatchObject({ isRecorded: true });
  expect(await access.find(callerWith("renewed"), session.id)).toEqual({ session });
  expect(session.principal.credentialDigest).toBe("renewed");
});
