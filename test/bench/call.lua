-- The load that wrk puts on: one tools/call after the other, each with an id of its own (sessions refuse repeated
-- ones). BODY, from the environment, holds the message with `%d` for the id. Ends with one line of JSON.
local before, after = string.match(os.getenv("BODY"), "^(.*)%%d(.*)$")
local id = 1000

request = function()
  id = id + 1
  return wrk.format("POST", nil, nil, before .. id .. after)
end

done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"calls":%d,"failed":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d}\n',
    summary.requests, failed, summary.duration, latency:percentile(50), latency:percentile(99)))
end
