-- The load that wrk puts on: one tools/call after the other, each with an id of its own (sessions refuse repeated
-- ones). BODY, from the environment, holds the message with `%d` for the id. With RATE, calls a second, each call has
-- its time whatever the answers do, as long as a connection is free. Ends with one line of JSON.
local ffi = require("ffi")
local before, after = string.match(os.getenv("BODY"), "^(.*)%%d(.*)$")
local id = 1000

request = function()
  id = id + 1
  return wrk.format("POST", nil, nil, before .. id .. after)
end

if os.getenv("RATE") then
  ffi.cdef [[
    struct timespec { long seconds, nanoseconds; };
    int clock_gettime(int clock, struct timespec *time);
  ]]
  local monotonic = 1
  local time = ffi.new("struct timespec")
  local intervalMs = 1000 / tonumber(os.getenv("RATE"))
  local dueMs

  -- Milliseconds until the connection that asks may send.
  delay = function()
    ffi.C.clock_gettime(monotonic, time)
    local nowMs = tonumber(time.seconds) * 1e3 + tonumber(time.nanoseconds) / 1e6
    dueMs = (dueMs or nowMs) + intervalMs
    return math.max(0, math.floor(dueMs - nowMs + 0.5))
  end
end

done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"calls":%d,"failed":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d}\n',
    summary.requests, failed, summary.duration, latency:percentile(50), latency:percentile(99)))
end
