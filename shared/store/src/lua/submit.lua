-- ARGV: id kind owner priority title created request idempotency fingerprint
--       idempotency_ttl_s keys…
-- Repeating it for the same id changes nothing.
local id, kind, owner, priority = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = job_key(id)
if redis.call('EXISTS', key) == 1 then
  return { 'created', '', '' }
end
if ARGV[8] ~= '' then
  local earlier = redis.call('GET', ARGV[8])
  if earlier then
    return { 'earlier', earlier, '' }
  end
  redis.call('SET', ARGV[8], id .. ' ' .. ARGV[9], 'EX', ARGV[10])
end
local ticket = redis.call('INCR', 'il:ticket')
redis.call('HSET', key, 'kind', kind, 'owner', owner, 'priority', priority, 'title', ARGV[5],
  'created', ARGV[6], 'attempt', 0, 'tries', 0, 'sequence', 0, 'progress', '0', 'ticket', ticket)
if ARGV[7] ~= '' then
  redis.call('HSET', key, 'request', ARGV[7])
end
if ARGV[8] ~= '' then
  redis.call('HSET', key, 'idempotency', ARGV[8])
end
local member = index_member(id)
redis.call('ZADD', 'il:index:all', 0, member)
redis.call('ZADD', 'il:index:kind:' .. kind, 0, member)
if owner ~= '' then
  redis.call('ZADD', 'il:index:owner:' .. owner, 0, member)
end
for i = 11, #ARGV do
  redis.call('SADD', 'il:uses:' .. id, ARGV[i])
  redis.call('SADD', 'il:used:' .. ARGV[i], id)
end
set_status(id, nil, 'queued')
enqueue(id, kind, priority, owner, ticket)
local _, ahead, seconds = queued_event(id, kind, priority, owner, 0, now_ms())
return { 'created', int(ahead), seconds }
