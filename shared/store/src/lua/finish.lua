-- ARGV: id attempt entry outcome error backoff_ms max_attempts retention_s saved
--       backoff_limit_ms
-- outcome: succeeded | failed | again | released. `saved` is the final state
-- that S3 holds already, or ''. Answers the state, or 'stale' if the entry is no
-- longer this attempt's. Repeating it answers the same.
local id, entry, outcome = ARGV[1], ARGV[3], ARGV[4]
local key = job_key(id)
local r = redis.call('HMGET', key, 'status', 'attempt', 'entry', 'kind', 'priority', 'cancel', 'started', 'last')
if r[8] == entry and r[2] == ARGV[2] then
  return r[1]
end
if r[1] ~= 'running' or r[2] ~= ARGV[2] or r[3] ~= entry then
  return 'stale'
end
if not release(id, r[4], r[5], entry) then
  return 'stale'
end
redis.call('HSET', key, 'last', entry)
local now = now_ms()
if r[6] then
  finish(id, 'running', 'cancelled', '', now, ARGV[8], ARGV[9] == 'cancelled')
elseif outcome == 'succeeded' then
  finish(id, 'running', 'succeeded', '', now, ARGV[8], ARGV[9] == 'succeeded')
  local took = now - tonumber(r[7])
  local average = tonumber(redis.call('HGET', 'il:average', r[4])) or took
  redis.call('HSET', 'il:average', r[4], int(0.8 * average + 0.2 * took))
elseif outcome == 'failed' then
  finish(id, 'running', 'failed', ARGV[5], now, ARGV[8], false)
elseif outcome == 'released' then
  local q = redis.call('HMGET', key, 'owner', 'ticket')
  redis.call('HINCRBY', key, 'tries', -1)
  redis.call('HDEL', key, 'worker')
  set_status(id, 'running', 'queued')
  enqueue(id, r[4], r[5], q[1], q[2])
  queued_event(id, r[4], r[5], q[1], r[2], now)
else
  fail_attempt(id, 'running', ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[10]), tonumber(ARGV[7]), now, ARGV[8])
end
return redis.call('HGET', key, 'status')
