-- What Argo CD shows of a MediaOrigin: what kstatus makes of its conditions, in Argo CD's words (docs/gitops.md).
-- Argo CD gives `obj` and runs Lua 5.1: nothing newer, and no library but ipairs.
local hs = { status = "Progressing", message = "waits for the operator" }
local status = obj.status
if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "is being deleted"
  return hs
end
-- A fresh MediaOrigin, or an edit that the operator has not seen yet: what the status says is not about it.
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local ready, stalled, reconciling = conditions.Ready, conditions.Stalled, conditions.Reconciling
if reconciling ~= nil and reconciling.status == "True" then
  hs.message = reconciling.message
elseif stalled ~= nil and stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = stalled.reason .. ": " .. stalled.message
elseif ready ~= nil then
  hs.message = ready.message
  if ready.status == "True" then
    hs.status = "Healthy"
    if ready.reason == "Stopped" or (reconciling ~= nil and reconciling.reason == "Paused") then
      hs.status = "Suspended"
    end
  end
end
return hs
