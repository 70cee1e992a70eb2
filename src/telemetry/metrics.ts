/**
 * Every metric the gateway exports: one table of names, help and labels. Label values come from fixed or
 * operator-controlled sets (server names, binding names, outcomes), never from agents' input.
 */
import {
  createCounter,
  createHistogram,
  type Labels,
  type Metric,
  renderGauge,
  type Sample,
} from "./instruments.ts";

const counters = {
  mcp_gateway_calls_total: [
    "Calls finished, by binding, server and outcome.",
    ["binding", "server", "outcome"],
  ],
  mcp_gateway_rejected_total: [
    "Messages refused before a call existed, by binding and error name.",
    ["binding", "error"],
  ],
  mcp_gateway_auth_failures_total: ["Credentials refused, by reason.", ["reason"]],
  mcp_gateway_policy_denials_total: ["Calls denied by policy, by server.", ["server"]],
  mcp_gateway_rate_limited_total: ["Calls refused by a limit, by limit.", ["limit"]],
  mcp_gateway_limits_alone_total: [
    "Calls this node decided by its share of the limits, because Redis did not answer.",
    [],
  ],
  mcp_gateway_penalties_total: ["Callers and sources put aside, by kind.", ["kind"]],
  mcp_gateway_cache_hits_total: ["Replies answered from memory, by kind.", ["kind"]],
  mcp_gateway_cache_misses_total: ["Cacheable requests not found in memory, by kind.", ["kind"]],
  mcp_gateway_cache_binding_failures_total: [
    "Cache entries that did not decrypt for their finder.",
    [],
  ],
  mcp_gateway_redactions_total: ["Values masked in results, by server.", ["server"]],
  mcp_gateway_audit_records_total: ["Records appended, by class.", ["class"]],
  mcp_gateway_audit_dropped_total: ["Class C records dropped.", []],
  mcp_gateway_audit_failures_total: [
    "Appends that did not reach their level in time, by class.",
    ["class"],
  ],
  mcp_gateway_audit_tail_dropped_total: ["Records a live listener was not shown.", []],
  mcp_gateway_audit_shipped_total: ["Records copied to the database.", []],
  mcp_gateway_audit_witness_failures_total: [
    "Times a witness could not be asked, by witness.",
    ["witness"],
  ],
  mcp_gateway_audit_witness_conflicts_total: [
    "Times a witness remembered another history, by witness.",
    ["witness"],
  ],
  mcp_gateway_audit_witness_lies_total: [
    "Checkpoints of other nodes this one was shown that do not go on from the last.",
    [],
  ],
  mcp_gateway_audit_healed_total: ["Records the monitor put back, by place.", ["place"]],
  mcp_gateway_audit_sink_failures_total: ["Deliveries to a sink that failed, by sink.", ["sink"]],
  mcp_gateway_audit_sink_skipped_total: ["Records a sink will never have, by sink.", ["sink"]],
  mcp_gateway_audit_checkpoints_total: ["Checkpoints signed, and taken up at the start.", []],
  mcp_gateway_audit_signing_failures_total: [
    "Times the notary could not sign or refused to, by reason.",
    ["reason"],
  ],
  mcp_gateway_slow_consumers_total: [
    "Connections cut for reading too slowly, by binding.",
    ["binding"],
  ],
  mcp_gateway_outbox_dropped_total: [
    "Messages to agents of the older revisions dropped before anybody read them.",
    [],
  ],
  mcp_gateway_streams_resumed_total: ["Event streams resumed after Last-Event-ID.", []],
  mcp_gateway_upstream_errors_total: [
    "Calls to a server that failed, by server and error name.",
    ["server", "error"],
  ],
  mcp_gateway_schema_rejected_total: [
    "Tools left out because their input schema cannot be used, by reason.",
    ["reason"],
  ],
  mcp_gateway_progress_dropped_total: [
    "Progress that came faster than agents are told, or went backwards, by server.",
    ["server"],
  ],
  mcp_gateway_upstream_restarts_total: ["Server processes started again, by server.", ["server"]],
  mcp_gateway_admin_calls_total: ["Admin calls, by method and gRPC status.", ["method", "status"]],
  mcp_gateway_retention_deleted_total: ["Records deleted by retention.", []],
  mcp_gateway_erasure_records_total: ["Records whose sealed part was erased.", []],
  mcp_gateway_keys_destroyed_total: ["Keys destroyed, by purpose.", ["purpose"]],
} as const satisfies Record<string, readonly [string, readonly string[]]>;

const histograms = {
  mcp_gateway_call_seconds: ["Whole time of a call, by binding.", ["binding"]],
  mcp_gateway_stage_seconds: ["Time spent in one hook of one stage.", ["stage", "hook"]],
  mcp_gateway_upstream_seconds: ["Time a server took to answer, by server.", ["server"]],
  mcp_gateway_audit_sync_seconds: ["Time of one group commit.", []],
} as const satisfies Record<string, readonly [string, readonly string[]]>;

const gauges = {
  mcp_gateway_connections: ["Open agent connections, by binding.", ["binding"]],
  mcp_gateway_sessions: ["Legacy sessions open.", []],
  mcp_gateway_listens: ["Listens open.", []],
  mcp_gateway_policy_stale_seconds: ["Time since the database last said that policy holds.", []],
  mcp_gateway_outbox_bytes: ["Bytes kept for agents that resume an event stream.", []],
  mcp_gateway_in_flight: ["Calls in flight.", []],
  mcp_gateway_waiting: ["Calls that wait for a place in flight.", []],
  mcp_gateway_put_aside: ["Callers and sources put aside at the moment.", []],
  mcp_gateway_limits_shared: [
    "1 while limits are counted in Redis, 0 while this node is alone.",
    [],
  ],
  mcp_gateway_limits_nodes: ["Nodes that count together, as last seen.", []],
  mcp_gateway_parked_calls: ["Calls that wait for their agent's answers.", ["server"]],
  mcp_gateway_cache_bytes: ["Bytes held by the reply cache.", []],
  mcp_gateway_cache_entries: ["Entries held by the reply cache.", []],
  mcp_gateway_audit_spool_bytes: ["Bytes in the spool.", []],
  mcp_gateway_audit_backlog: ["Records synced but not yet in the database.", []],
  mcp_gateway_audit_unwitnessed_records: [
    "Records after the last checkpoint a witness remembers, by witness.",
    ["witness"],
  ],
  mcp_gateway_audit_unwitnessed_seconds: [
    "How long there have been such records: a cut of them could go unseen, by witness.",
    ["witness"],
  ],
  mcp_gateway_audit_integrity_violations: [
    "Records that are wrong at the moment, by place: any is an alarm.",
    ["place"],
  ],
  mcp_gateway_audit_monitor_laps: ["Laps of the monitor over the newest records.", []],
  mcp_gateway_audit_sink_lag_records: ["Records synced but not yet delivered, by sink.", ["sink"]],
  mcp_gateway_audit_sink_up: ["1 while the sink takes records, by sink.", ["sink"]],
  mcp_gateway_audit_checkpoint_size: ["Records under the latest checkpoint of this node.", []],
  mcp_gateway_audit_unsigned_seconds: ["Age of the oldest synced record that is not signed.", []],
  mcp_gateway_audit_signing_late: ["1 while records have been unsigned for too long.", []],
  mcp_gateway_erasure_pending: ["Destroyed keys whose records are not all swept yet.", []],
  mcp_gateway_state_revision: ["Revision of the state being served.", []],
  mcp_gateway_upstream_ready: ["1 where the server is ready, by server.", ["server"]],
} as const satisfies Record<string, readonly [string, readonly string[]]>;

export type CounterName = keyof typeof counters;
export type HistogramName = keyof typeof histograms;
export type GaugeName = keyof typeof gauges;
type GaugeReader = () => number | readonly Sample[];

const noLabels: Labels = Object.freeze({});

/** Upper bounds of the buckets, from a hundred microseconds to ten seconds. */
const secondsBounds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];

export interface Metrics {
  count(name: CounterName, labels?: Labels, by?: number): void;
  /** Seconds. */
  observe(name: HistogramName, seconds: number, labels?: Labels): void;
  /** Sets a gauge from a function read at each scrape. */
  gauge(name: GaugeName, read: GaugeReader): void;
  /** Prometheus text format. */
  render(): Promise<string>;
  /** Sum of a counter over all its labels, for /metrics/security and tests. */
  total(name: CounterName): Promise<number>;
}

export function createMetrics(): Metrics {
  const counting = mapTable(counters, createCounter);
  const timing = mapTable(histograms, (metric) => createHistogram(metric, secondsBounds));
  const reading = new Map<GaugeName, GaugeReader>();

  return {
    count: (name, labels = noLabels, by = 1) => counting[name].add(labels, by),
    observe: (name, seconds, labels = noLabels) => timing[name].observe(labels, seconds),
    gauge: (name, read) => void reading.set(name, read),
    async render() {
      const texts = [...Object.values(counting), ...Object.values(timing)].map((one) =>
        one.render(),
      );
      for (const [name, read] of reading) {
        const [help, labelNames] = gauges[name];
        texts.push(renderGauge({ name, help, labelNames }, samplesOf(read())));
      }
      return texts.join("\n");
    },
    total: async (name) => counting[name].total(),
  };
}

function samplesOf(value: ReturnType<GaugeReader>): readonly Sample[] {
  return typeof value === "number" ? [{ labels: noLabels, value }] : value;
}

/** One instrument for each row of a table, under the row's name. */
function mapTable<Name extends string, Instrument>(
  table: Readonly<Record<Name, readonly [string, readonly string[]]>>,
  create: (metric: Metric) => Instrument,
): Readonly<Record<Name, Instrument>> {
  const rows = Object.entries<readonly [string, readonly string[]]>(table);
  const made = rows.map(([name, [help, labelNames]]) => [name, create({ name, help, labelNames })]);
  return Object.fromEntries(made) as Record<Name, Instrument>;
}
