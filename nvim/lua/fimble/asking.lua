--- Requests for suggestions: one at a time for a buffer, taken back when it is of no use any more.

local sessions = require('fimble.session')
local status = require('fimble.status')
local switch = require('fimble.switch')

local api = vim.api
local METHOD = 'textDocument/inlineCompletion'
local MAX_NUM_RETRIES, RETRY_AFTER_MS = 3, 500
local INVOKED, AUTOMATIC = 1, 2 -- InlineCompletionTriggerKind, which 0.11 does not know

local M = {}

-- What clients sent requests by before `intercept`.
local senders = setmetatable({}, { __mode = 'k' }) ---@type table<vim.lsp.Client, function>

--- Take the request under way back; whatever answer is on its way is nobody's.
---@param session fimble.Session
function M.cancel(session)
  local client = session.pending and vim.lsp.get_client_by_id(session.client_id)
  if client and client.requests[session.pending] then
    client:cancel_request(session.pending)
  end
  session.pending = nil
  session.num_asked = session.num_asked + 1
end

--- Take the request under way back if the text or the cursor has left what it is about.
---@param session fimble.Session
function M.cancel_if_moved(session)
  if session.pending and session.asked_at ~= sessions.place() then
    M.cancel(session)
  end
end

---@param client vim.lsp.Client
---@return table
local function new_params(client)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = {}
  return params
end

---@param params table
---@param session fimble.Session
local function complete_params(params, session)
  local buf = session.buf
  params.context.triggerKind = session.was_invoked and INVOKED or AUTOMATIC
  params.formattingOptions =
    { tabSize = vim.lsp.util.get_effective_tabstop(buf), insertSpaces = vim.bo[buf].expandtab }
end

--- Ask the server and hand its answer on, unless it comes too late. Only the newest request counts.
---@param session fimble.Session
---@param client vim.lsp.Client
---@param params? table as Neovim made them
---@return boolean
---@return integer?
function M.send(session, client, params)
  if not sessions.is_here(session) or not switch.is_on(session.buf) then
    return false
  end
  local place = sessions.place()
  -- Neovim may have been about to ask when the user wanted none.
  if session.dismissed_at == place and not session.was_invoked then
    return false
  end
  M.cancel(session)
  params = params or new_params(client)
  complete_params(params, session)
  session.was_invoked, session.asked_at = false, place
  local number = session.num_asked
  local function on_answer(err, result)
    session.num_answered = number
    local is_newest = number == session.num_asked and sessions.all[session.buf] == session
    if err or not is_newest or not sessions.is_here(session) then
      return
    end
    if place == sessions.place() and switch.is_on(session.buf) then
      session.take(session, client, result and (result.items or result) or {})
    end
  end
  local send = senders[client] or client.request
  local is_sent, id = send(client, METHOD, params, on_answer, session.buf)
  session.pending = is_sent and id or nil
  return is_sent, id
end

--- Let the requests that Neovim makes by itself go through `send`.
---@param client vim.lsp.Client
function M.intercept(client)
  if senders[client] then
    return
  end
  local send = client.request
  senders[client] = send
  ---@diagnostic disable-next-line: duplicate-set-field
  client.request = function(self, method, params, handler, buf)
    if method ~= METHOD or not handler then
      return send(self, method, params, handler, buf)
    end
    local is_current = buf == nil or buf == 0
    local session = sessions.all[is_current and api.nvim_get_current_buf() or buf]
    if not session or session.client_id ~= self.id then
      return false
    end
    session.deliver = handler
    return M.send(session, self, params)
  end
end

--- Ask for suggestions at the cursor, if somebody types there.
---@param session fimble.Session
function M.request(session)
  local client = vim.lsp.get_client_by_id(session.client_id)
  if client and sessions.is_here(session) then
    session.drawer.ask(session, client)
  end
end

--- Ask again if the newest request was given up by the server, as when its daemon has ended.
---@param session fimble.Session
local function retry(session)
  local number = session.num_asked
  if session.num_retries >= MAX_NUM_RETRIES then
    return
  end
  vim.defer_fn(function()
    local is_current = sessions.all[session.buf] == session and number == session.num_asked
    if is_current and session.num_answered ~= number then
      session.num_retries = session.num_retries + 1
      M.request(session)
    end
  end, RETRY_AFTER_MS)
end

--- Note that a request has begun or ended, whoever ended it.
---@param client_id integer
---@param request_id integer
---@param request { method: string, type: string, bufnr: integer }
function M.note(client_id, request_id, request)
  local session = request.method == METHOD and sessions.all[request.bufnr]
  if not session or session.client_id ~= client_id then
    return
  end
  if request.type == 'pending' then
    status.pending(true)
  elseif session.pending == request_id then
    session.pending = nil
    status.pending(false)
    if request.type == 'complete' then
      retry(session)
    end
  end
end

--- Ask where the cursor is, as the model is ready now; what was asked before got nothing.
function M.resume()
  local session = sessions.current()
  if session and #session.suggestions == 0 and not session.pending then
    session.dismissed_at = nil
    M.request(session)
  end
end

return M
