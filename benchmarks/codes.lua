-- POST /code/ with a new number and a new address each time; reports one line of JSON.
-- The argument is the first number.
local number

function init(arguments)
   number = tonumber(arguments[1])
end

function request()
   number = number + 1
   -- Consecutive numbers are far apart, so that no prefix gets many.
   local mobile = string.format("13%09d", number * 7919 % 1000000000)
   local address = string.format("%d.%d.%d.9", 11 + number % 89, math.floor(number / 89) % 256, math.floor(number / 22784) % 256)
   local headers = { ["Content-Type"] = "application/json", ["X-Forwarded-For"] = address }
   return wrk.format("POST", nil, headers, '{"mobile": "' .. mobile .. '"}')
end

function done(summary, latency)
   local e = summary.errors
   local errors = e.connect + e.read + e.write + e.status + e.timeout
   io.write(string.format('{"requests": %d, "us": %d, "errors": %d, "p50": %d, "p99": %d}\n',
      summary.requests, summary.duration, errors, latency:percentile(50), latency:percentile(99)))
end
