-- ARGV: id. Answers the state before, or '' if there is no such job.
local id = ARGV[1]
local key = job_key(id)
local r = redis.call('HMGET', key, 'status', 'kind', 'priority', 'owner', 'attempt')
if not r[1] then
  return ''
end
if r[1] == 'failed' or r[1] == 'cancelled' then
  local ticket = redis.call('INCR', 'il:ticket')
  redis.call('HSET', key, 'tries', 0, 'ticket', ticket, 'progress', '0')
  redis.call('HDEL', key, 'error', 'finished', 'started', 'worker', 'last')
  redis.call('SREM', 'il:unsaved', id)
  redis.call('PERSIST', event_key(id))
  set_status(id, r[1], 'queued')
  enqueue(id, r[2], r[3], r[4], ticket)
  queued_event(id, r[2], r[3], r[4], r[5], now_ms())
end
return r[1]
