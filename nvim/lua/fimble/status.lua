--- What the server is doing, as its notifications and our requests tell it.

local M = {}

---@class fimble.Status
---@field state 'missing'|'starting'|'downloading'|'loading'|'ready'|'error'
---@field message string
---@field fraction? number

local by_client = {} ---@type table<integer, fimble.Status>
---@type fimble.Status
local general = { state = 'starting', message = 'no server has been started' }
local is_thinking = false
local is_on_statusline = false
local last_text = ''

--- Tell everybody who shows the state that it is another now.
function M.changed()
  last_text = M.text()
  vim.api.nvim_exec_autocmds('User', { pattern = 'FimbleStatus', modeline = false })
  if is_on_statusline then
    vim.cmd.redrawstatus({ bang = true })
  end
end

local function redraw()
  if M.text() ~= last_text then
    M.changed()
  end
end

--- Note what the server of a client says of itself.
---@param client_id integer
---@param status fimble.Status
function M.note(client_id, status)
  by_client[client_id] = status
  redraw()
end

--- Note that a client is attached; a server that has nothing to load says nothing.
---@param client_id integer
function M.attached(client_id)
  if not by_client[client_id] then
    M.note(client_id, { state = 'ready', message = 'ready' })
  end
end

--- Note that a client has ended; without a message as it should.
---@param client_id integer
---@param message? string
function M.ended(client_id, message)
  by_client[client_id], is_thinking = nil, false
  general = message and { state = 'error', message = message }
    or { state = 'starting', message = 'no server is running' }
  redraw()
end

--- Note that there is no program to start.
function M.missing()
  general = { state = 'missing', message = 'there is no server; see :Fimble install' }
  redraw()
end

--- Note whether a request is under way.
---@param is_pending boolean
function M.pending(is_pending)
  is_thinking = is_pending
  redraw()
end

--- Return the state that matters most, of all clients.
---@return fimble.Status
function M.current()
  local chosen
  for _, status in pairs(by_client) do
    if not chosen or status.state ~= 'ready' then
      chosen = status
    end
  end
  return chosen or general
end

--- Return that state in words.
---@return string
function M.sentence()
  local status = M.current()
  if status.message == '' or status.message == status.state then
    return status.state
  end
  return ('%s: %s'):format(status.state, status.message)
end

--- Return a few words for the status line of the current buffer.
---@return string
function M.text()
  local status = M.current()
  if not require('fimble.switch').is_on(vim.api.nvim_get_current_buf()) then
    return 'fimble off'
  elseif status.state == 'ready' then
    return is_thinking and 'fimble …' or 'fimble'
  elseif status.state == 'downloading' or status.state == 'loading' then
    local percent = type(status.fraction) == 'number' and (' %d%%'):format(status.fraction * 100)
    return ('fimble %s%s'):format(status.state, percent or '')
  elseif status.state == 'error' then
    return 'fimble error'
  end
  return 'fimble ' .. status.state
end

--- The component: the same text, drawn again whenever it changes. Does no work but this.
---@return string
function M.line()
  is_on_statusline = true
  return (M.text():gsub('%%', '%%%%'))
end

return M
