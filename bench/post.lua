-- wrk script: POST /events, one event a request, every id new.
local number, base

function init()
    math.randomseed(os.time())
    base = tostring(math.random(1000000000))
    number = 0
end

function request()
    number = number + 1
    return wrk.format("POST", "/events", {["Content-Type"] = "application/json"},
        '{"event_id":"' .. base .. "-" .. number .. '","event_type":"purchase","customer_id":"c' ..
        number % 997 .. '","timestamp":"2026-11-21T10:00:00Z","source":"bench","payload":{"amount":' ..
        number % 100 .. '.5,"currency":"USD","order_id":"o-4711","items":[{"sku":"a-1","qty":2,' ..
        '"price":10.5},{"sku":"b-2","qty":1,"price":3.25}]}}')
end
