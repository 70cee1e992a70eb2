/**
 * Which limits hold for whom: what is configured for everybody, under it a tier, under that a client's own
 * registration. A plan is made once for each registration and read by every call; the stages turn it into charges.
 */
import type { ClientLimits } from "../state/resources.ts";
import { type BucketName, type NamedLimit, namedLimit } from "./charge.ts";

/** Numbers that a tier or a registration may set. */
export type LimitSettings = Omit<ClientLimits, "tier">;

/** Missing members keep what is below. */
type Overrides = { readonly [Key in keyof LimitSettings]?: LimitSettings[Key] | undefined };

export interface OwnLimits extends Overrides {
  readonly tier?: string | undefined;
}

export interface LimitPlan {
  /** Of the caller itself: its rate, then its longer and shorter windows. */
  readonly own: readonly NamedLimit[];
  /** Of the caller and one server; undefined = none. */
  readonly server: NamedLimit | undefined;
  /** Of the caller and one tool. */
  readonly tool: NamedLimit;
  readonly maxInFlight: number;
  readonly requestBytesMax: number;
}

type Holder = "client" | "user" | "tier";

export interface LimitPlans {
  /** The plan of a caller; `own` is what its client registered, the same object each time. */
  of(holder: "client" | "user", own: OwnLimits | undefined): LimitPlan;
  /** The plan that a rule names; undefined where the configuration has no such tier. */
  ofTier(name: string): LimitPlan | undefined;
  /** All callers of one tenant together; undefined = no such limit. */
  readonly tenant: NamedLimit | undefined;
}

export interface LimitPlansDeps {
  readonly defaults: LimitSettings;
  readonly tiers: Readonly<Record<string, Overrides>>;
  /** A minute of all callers of one tenant; 0 or undefined = no limit. */
  readonly tenantRequestsPerMinute?: number;
  /** 0 or undefined = as many as in a minute. */
  readonly tenantBurst?: number;
}

export function createLimitPlans(deps: LimitPlansDeps): LimitPlans {
  const { defaults, tenantRequestsPerMinute = 0, tenantBurst = 0 } = deps;
  const tiers = new Map(Object.entries(deps.tiers));
  const plain = { client: buildPlan("client", defaults), user: buildPlan("user", defaults) };
  const ofTiers = new Map(
    [...tiers].map(([name, tier]) => [name, buildPlan("tier", lay(defaults, tier))]),
  );
  const known = {
    client: new WeakMap<object, LimitPlan>(),
    user: new WeakMap<object, LimitPlan>(),
  };
  return {
    of(holder, own) {
      if (own === undefined) return plain[holder];
      const made = known[holder].get(own);
      if (made !== undefined) return made;
      // A tier that is not configured is refused when it is written and at the start: `known-tiers.ts`.
      const tier = own.tier === undefined ? undefined : tiers.get(own.tier);
      const plan = buildPlan(holder, lay(lay(defaults, tier), own));
      known[holder].set(own, plan);
      return plan;
    },
    ofTier: (name) => ofTiers.get(name),
    tenant: rate("tenant", tenantRequestsPerMinute, tenantBurst),
  };
}

function buildPlan(holder: Holder, settings: LimitSettings): LimitPlan {
  const { maxInFlight, requestBytesMax } = settings;
  const windows = [
    span(`${holder}-10s`, settings.requestsPer10Seconds, 1 / 6),
    span(`${holder}-hour`, settings.requestsPerHour, 60),
    span(`${holder}-day`, settings.requestsPerDay, 1440),
  ];
  const { requestsPerMinute, burst, toolRequestsPerMinute, toolBurst } = settings;
  return {
    own: [
      namedLimit(holder, burst, requestsPerMinute),
      ...windows.filter((one) => one !== undefined),
    ],
    server: rate("server", settings.serverRequestsPerMinute, settings.serverBurst),
    tool: namedLimit("tool", toolBurst, toolRequestsPerMinute),
    maxInFlight,
    requestBytesMax,
  };
}

function rate(name: BucketName, perMinute: number, burst: number): NamedLimit | undefined {
  return perMinute === 0 ? undefined : namedLimit(name, burst || perMinute, perMinute);
}

/** So many in so many minutes: a bucket that holds them all and fills in that time. */
function span(name: BucketName, requests: number, minutes: number): NamedLimit | undefined {
  return requests === 0 ? undefined : namedLimit(name, requests, requests / minutes);
}

function lay(below: LimitSettings, above: Overrides | undefined): LimitSettings {
  if (above === undefined) return below;
  const of = <Key extends keyof LimitSettings>(key: Key) => above[key] ?? below[key];
  return {
    requestsPerMinute: of("requestsPerMinute"),
    burst: of("burst"),
    toolRequestsPerMinute: of("toolRequestsPerMinute"),
    toolBurst: of("toolBurst"),
    serverRequestsPerMinute: of("serverRequestsPerMinute"),
    serverBurst: of("serverBurst"),
    requestsPer10Seconds: of("requestsPer10Seconds"),
    requestsPerHour: of("requestsPerHour"),
    requestsPerDay: of("requestsPerDay"),
    maxInFlight: of("maxInFlight"),
    requestBytesMax: of("requestBytesMax"),
  };
}
