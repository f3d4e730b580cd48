-- Shared by every script. Names of keys:
--   il:job:{id}                    hash, the record
--   il:events:{id}                 stream of events
--   il:index:{all|kind:*|status:*|owner:*}  sorted by ULID, for lists
--   il:lane:{kind}:{priority}:{owner}       ids waiting, by ticket
--   il:ring:{kind}:{priority}      owners whose lane is not empty, next first
--   il:queue:{kind}:{priority}     stream of what was handed out; its group's
--                                  pending entries are the running jobs
--   il:delayed                     ids waiting for another attempt, by due time
-- Times are milliseconds. Scripts touch undeclared keys: one server, no cluster.
local GROUP = 'workers'
local PRIORITIES = { 'high', 'normal', 'low' }
local EVENT_LIMIT = 100000
local DEAD_LIMIT = 10000
local FINAL = { succeeded = true, failed = true, cancelled = true }

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Lua writes large numbers with an exponent otherwise.
local function int(x)
  return string.format('%.0f', x)
end

local function job_key(id)
  return 'il:job:' .. id
end

local function event_key(id)
  return 'il:events:' .. id
end

local function queue_key(kind, priority)
  return 'il:queue:' .. kind .. ':' .. priority
end

local function ring_key(kind, priority)
  return 'il:ring:' .. kind .. ':' .. priority
end

local function lane_key(kind, priority, owner)
  return 'il:lane:' .. kind .. ':' .. priority .. ':' .. owner
end

-- `gen_01J…` as `01J…:gen`, so that all kinds sort by time.
local function index_member(id)
  return string.sub(id, 5) .. ':' .. string.sub(id, 1, 3)
end

local function emit(id, attempt, json)
  local key = event_key(id)
  local event = redis.call('XADD', key, 'MAXLEN', '~', EVENT_LIMIT, '*', 'a', attempt, 'k', json)
  redis.call('PUBLISH', 'il:event:' .. id, event .. ' ' .. attempt .. ' ' .. json)
  return event
end

-- Moves the record to a state and counts the change.
local function set_status(id, from, to)
  local member = index_member(id)
  if from then
    redis.call('ZREM', 'il:index:status:' .. from, member)
  end
  redis.call('ZADD', 'il:index:status:' .. to, 0, member)
  redis.call('HSET', job_key(id), 'status', to)
  redis.call('HINCRBY', job_key(id), 'sequence', 1)
end

local function enqueue(id, kind, priority, owner, ticket)
  local lane = lane_key(kind, priority, owner)
  if redis.call('EXISTS', lane) == 0 then
    redis.call('RPUSH', ring_key(kind, priority), owner)
  end
  redis.call('ZADD', lane, ticket, id)
  redis.call('PUBLISH', 'il:wake', kind)
end

local function dequeue(id, kind, priority, owner)
  redis.call('ZREM', 'il:delayed', id)
  local lane = lane_key(kind, priority, owner)
  if redis.call('ZREM', lane, id) == 1 and redis.call('EXISTS', lane) == 0 then
    redis.call('LREM', ring_key(kind, priority), 0, owner)
  end
end

-- Jobs that start before this one if every owner gets a turn in order.
local function position(id, kind, priority, owner)
  local lane = lane_key(kind, priority, owner)
  local rank = redis.call('ZRANK', lane, id)
  if not rank then
    return nil
  end
  local ahead = rank
  for _, p in ipairs(PRIORITIES) do
    if p == priority then
      break
    end
    for _, o in ipairs(redis.call('LRANGE', ring_key(kind, p), 0, 255)) do
      ahead = ahead + redis.call('ZCARD', lane_key(kind, p, o))
    end
  end
  local before = 1
  for _, o in ipairs(redis.call('LRANGE', ring_key(kind, priority), 0, 255)) do
    if o == owner then
      before = 0
    else
      local waiting = redis.call('ZCARD', lane_key(kind, priority, o))
      ahead = ahead + math.min(waiting, rank + before)
    end
  end
  return ahead
end

local function running(kind)
  local count = 0
  for _, p in ipairs(PRIORITIES) do
    count = count + redis.call('XLEN', queue_key(kind, p))
  end
  return count
end

-- Seconds until a job with so many ahead starts, from the moving average of run
-- times and the live workers' slots; '' when there is nothing to go by.
local function eta(kind, ahead, now)
  local slots = 0
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', 'il:workers', int(now), '+inf')) do
    slots = slots + (tonumber(redis.call('HGET', 'il:worker:' .. worker, 'slots:' .. kind)) or 0)
  end
  local average = tonumber(redis.call('HGET', 'il:average', kind))
  if slots == 0 then
    return ''
  end
  local over = ahead + 1 + running(kind) - slots
  if over <= 0 then
    return '0'
  end
  if not average then
    return ''
  end
  return string.format('%.3f', over * average / slots / 1000)
end

local function queued_event(id, kind, priority, owner, attempt, now)
  local ahead = position(id, kind, priority, owner) or 0
  local seconds = eta(kind, ahead, now)
  local json = '{"type":"queued","position":' .. int(ahead) .. ',"eta_s":'
    .. (seconds == '' and 'null' or seconds) .. '}'
  return emit(id, attempt, json), ahead, seconds
end

-- A job has ended. `error` is JSON or ''.
local function finish(id, from, to, error, now, retention_s, saved)
  local key = job_key(id)
  local attempt = redis.call('HGET', key, 'attempt')
  set_status(id, from, to)
  redis.call('HSET', key, 'finished', int(now))
  redis.call('HDEL', key, 'request', 'cancel')
  local json = '{"type":"cancelled"}'
  if to == 'succeeded' then
    redis.call('HSET', key, 'progress', '1')
    redis.call('HDEL', key, 'error')
    json = '{"type":"completed"}'
  elseif to == 'failed' then
    redis.call('HSET', key, 'error', error)
    json = '{"type":"failed","error":' .. error .. '}'
    redis.call('XADD', 'il:dead', 'MAXLEN', '~', DEAD_LIMIT, '*', 'id', id, 'attempts', attempt, 'error', error)
  end
  emit(id, attempt, json)
  redis.call('EXPIRE', event_key(id), retention_s)
  if not saved then
    redis.call('SADD', 'il:unsaved', id)
  end
end

-- Takes a job off the running ones; false if it was not there any more.
local function release(id, kind, priority, entry)
  local queue = queue_key(kind, priority)
  if redis.call('EXISTS', queue) == 0 then
    return false
  end
  local held = redis.pcall('XACK', queue, GROUP, entry)
  if held ~= 1 then
    return false
  end
  redis.call('XDEL', queue, entry)
  redis.call('HDEL', job_key(id), 'entry')
  return true
end

-- A worker that holds nothing is no consumer any more.
local function forget_consumer(queue, worker)
  if redis.call('EXISTS', queue) == 0 then
    return
  end
  local held = redis.pcall('XPENDING', queue, GROUP, '-', '+', 1, worker)
  if not held.err and #held == 0 then
    redis.pcall('XGROUP', 'DELCONSUMER', queue, GROUP, worker)
  end
end

-- An attempt is over without success: again later (after base_ms, doubled with
-- each try), or for good.
local function fail_attempt(id, from, error, base_ms, limit_ms, max_attempts, now, retention_s)
  local key = job_key(id)
  local r = redis.call('HMGET', key, 'kind', 'priority', 'owner', 'ticket', 'tries', 'attempt', 'cancel')
  if r[7] then
    finish(id, from, 'cancelled', '', now, retention_s, false)
    return 'cancelled'
  end
  if tonumber(r[5]) >= max_attempts then
    finish(id, from, 'failed', error, now, retention_s, false)
    return 'failed'
  end
  local delay_ms = math.floor(math.min(limit_ms, base_ms * 2 ^ (tonumber(r[5]) - 1)))
  set_status(id, from, 'retrying')
  redis.call('HSET', key, 'error', error)
  redis.call('HDEL', key, 'worker')
  emit(id, r[6], '{"type":"retrying","error":' .. error .. ',"in_s":' .. string.format('%.3f', delay_ms / 1000) .. '}')
  if delay_ms > 0 then
    redis.call('ZADD', 'il:delayed', int(now + delay_ms), id)
    redis.call('PUBLISH', 'il:wake', r[1])
  else
    enqueue(id, r[1], r[2], r[3], r[4])
  end
  return 'retrying'
end
