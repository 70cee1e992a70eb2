import { expect, test } from "bun:test";
import { createAdmission } from "../../../src/agents/admission.ts";

test("places are bounded, for all and for one address, and are given back", () => {
  const admission = createAdmission({ connectionsMax: 3, connectionsPerPeerMax: 2 });
  expect(admission.enter("a")).toBeUndefined();
  expect(admission.enter("a")).toBeUndefined();
  expect(admission.enter("a")?.name).toBe("too-many-in-flight");
  expect(admission.enter("b")).toBeUndefined();
  expect(admission.enter("c")?.name).toBe("overloaded");
  admission.leave("a");
  expect(admission.enter("c")).toBeUndefined();
  expect(admission.open()).toBe(3);
});

test("L09 OV-05: all addresses of an IPv6 /64 are one", () => {
  const admission = createAdmission({ connectionsMax: 9, connectionsPerPeerMax: 2 });
  expect(admission.enter("2001:db8:1:2::1")).toBeUndefined();
  expect(admission.enter("2001:db8:1:2:a:b:c:d")).toBeUndefined();
  expect(admission.enter("2001:db8:1:2::99")?.name).toBe("too-many-in-flight");
  expect(admission.enter("2001:db8:1:3::1")).toBeUndefined();
  admission.leave("2001:db8:1:2::1");
  expect(admission.enter("2001:db8:1:2::99")).toBeUndefined();
});

test("draining refuses new work and waits for the calls in flight", async () => {
  const admission = createAdmission({ connectionsMax: 3, connectionsPerPeerMax: 2 });
  admission.callStarted();
  admission.callStarted();
  let isDone = false;
  const drained = admission.drain().then(() => {
    isDone = true;
  });
  expect(admission.isDraining()).toBe(true);
  expect(admission.enter("a")?.name).toBe("draining");
  admission.callEnded();
  await Promise.resolve();
  expect(isDone).toBe(false);
  admission.callEnded();
  await drained;
  await createAdmission({ connectionsMax: 1, connectionsPerPeerMax: 1 }).drain();
});
