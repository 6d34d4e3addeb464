-- POST the body given as argument; reports one line of JSON.
function init(arguments)
   wrk.method = "POST"
   wrk.body = arguments[1]
   wrk.headers["Content-Type"] = "application/json"
end

function done(summary, latency)
   local e = summary.errors
   local errors = e.connect + e.read + e.write + e.status + e.timeout
   io.write(string.format('{"requests": %d, "us": %d, "errors": %d, "p50": %d, "p99": %d}\n',
      summary.requests, summary.duration, errors, latency:percentile(50), latency:percentile(99)))
end
