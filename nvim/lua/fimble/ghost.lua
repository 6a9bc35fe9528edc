--- Suggestions of each buffer: asked for, shown while they continue what is typed, accepted.

local config = require('fimble.config')
local events = require('fimble.events')
local status = require('fimble.status')
local Suggestion = require('fimble.suggestion')
local switch = require('fimble.switch')

local api = vim.api
local METHOD = 'textDocument/inlineCompletion'
local MAX_NUM_RETRIES, RETRY_AFTER_MS = 3, 500
local INVOKED, AUTOMATIC = 1, 2 -- InlineCompletionTriggerKind, which 0.11 does not know

---@class fimble.Session what is known of a buffer
---@field buf integer
---@field client_id integer
---@field drawer table `fimble.builtin` or `fimble.own`
---@field suggestions fimble.Suggestion[]
---@field index integer of the one shown
---@field is_cycling boolean whether the user looks through them
---@field pending? integer id of the request under way
---@field num_asked integer
---@field num_answered integer of the request that was answered last
---@field num_retries integer since the last key
---@field was_invoked boolean whether the next request is one that the user asked for
---@field deliver? function Neovim's own handler of answers
---@field timer? uv.uv_timer_t
---@field on_rest? function

local M = {}

local sessions = {} ---@type table<integer, fimble.Session>

--- Whether ghost text of Neovim's own is used.
---@return boolean
function M.is_builtin()
  return vim.lsp.inline_completion ~= nil and config.get().ghost_text ~= 'own'
end

---@return integer row
---@return integer col
local function cursor()
  local at = api.nvim_win_get_cursor(0)
  return at[1] - 1, at[2]
end

---@return boolean
local function is_inserting()
  return api.nvim_get_mode().mode:sub(1, 1) == 'i'
end

--- Return what is shown at the cursor and what is still to be typed of it; nil if nothing is.
---@return fimble.Session?
---@return fimble.Suggestion?
---@return string? rest
function M.visible()
  local session = sessions[api.nvim_get_current_buf()]
  local suggestion = session and session.suggestions[session.index]
  if not suggestion or not is_inserting() then
    return nil
  end
  local row, col = cursor()
  local rest = Suggestion.rest(suggestion, session.buf, row, col)
  if rest then
    return session, suggestion, rest
  end
end

---@param session fimble.Session
local function clear(session)
  if #session.suggestions > 0 then
    session.suggestions, session.index, session.is_cycling = {}, 1, false
    session.drawer.hide(session)
  end
end

---@param session fimble.Session
local function cancel(session)
  local client = session.pending and vim.lsp.get_client_by_id(session.client_id)
  if client and client.requests[session.pending] then
    client:cancel_request(session.pending)
  end
  session.pending = nil
  session.num_asked = session.num_asked + 1 -- an answer that is on its way is nobody's
end

---@param session fimble.Session
---@param client vim.lsp.Client
---@param items lsp.InlineCompletionItem[]
local function take(session, client, items)
  local row, col = cursor()
  session.suggestions, session.index, session.is_cycling = {}, 1, false
  for _, item in ipairs(items) do
    local suggestion = Suggestion.new(item, client, session.buf, row, col)
    if suggestion and Suggestion.rest(suggestion, session.buf, row, col) then
      table.insert(session.suggestions, suggestion)
    end
  end
  if #session.suggestions == 0 then
    session.drawer.hide(session)
    return
  end
  local suggestion = session.suggestions[1]
  session.drawer.show(session, Suggestion.rest(suggestion, session.buf, row, col), row, col)
  events.shown(suggestion)
end

--- Ask the server and take its answer, unless it comes too late. Only the newest request counts.
---
--- `deliver` is Neovim's handler of it, if it draws.
---@param client vim.lsp.Client
---@param params table
---@param deliver? function
---@param buf integer
---@param send function the client's `request`
---@return boolean
---@return integer?
function M.ask(client, params, deliver, buf, send)
  buf = buf == 0 and api.nvim_get_current_buf() or buf
  local session = sessions[buf]
  if not session or session.client_id ~= client.id or not switch.is_on(buf) then
    return false
  end
  cancel(session)
  session.deliver = deliver
  params.context.triggerKind = session.was_invoked and INVOKED or AUTOMATIC
  session.was_invoked = false
  params.formattingOptions =
    { tabSize = vim.lsp.util.get_effective_tabstop(buf), insertSpaces = vim.bo[buf].expandtab }
  local number, row, col = session.num_asked, cursor()
  local sent, id = send(client, METHOD, params, function(err, result, context)
    session.num_answered = number
    local is_newest = number == session.num_asked and sessions[buf] == session
    local is_here = buf == api.nvim_get_current_buf() and is_inserting()
    if err or not is_newest or not is_here or not switch.is_on(buf) then
      return
    end
    local row_now, col_now = cursor()
    if context.version ~= vim.lsp.util.buf_versions[buf] or row ~= row_now or col ~= col_now then
      return
    end
    local items = result and (result.items or result) or {}
    if deliver then
      deliver(err, { items = items }, context)
    end
    take(session, client, items)
  end, buf)
  session.pending = sent and id or nil
  return sent, id
end

--- Ask for suggestions at the cursor.
---@param session fimble.Session
function M.request(session)
  local client = vim.lsp.get_client_by_id(session.client_id)
  if not client or not is_inserting() or api.nvim_get_current_buf() ~= session.buf then
    return
  end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = {}
  if M.is_builtin() then
    client:request(METHOD, params, session.deliver, session.buf)
  else
    M.ask(client, params, nil, session.buf, client.request)
  end
end

--- Ask at once, as someone wants suggestions.
---@return boolean whether that can be
function M.trigger()
  local session = sessions[api.nvim_get_current_buf()]
  if not session or not is_inserting() or not switch.is_on(session.buf) then
    return false
  end
  session.was_invoked = true
  if session.deliver or not M.is_builtin() then
    M.request(session)
  end -- else Neovim is about to ask, for the first time in this buffer
  return true
end

--- Put the suggestion or its first part into the buffer.
---@param part 'all'|'word'|'line'
---@return boolean whether there was one
function M.accept(part)
  local session, suggestion, rest = M.visible()
  if not session or not suggestion or not rest then
    return false
  end
  local text = Suggestion.parts[part](rest)
  local is_whole = #text == #rest
  cancel(session)
  if is_whole then
    clear(session)
  end
  local row, col = cursor()
  local lines = vim.split(text, '\n', { plain = true })
  local replaced = is_whole and #suggestion.tail or 0
  api.nvim_buf_set_text(session.buf, row, col, row, col + replaced, lines)
  local last_col = (#lines == 1 and col or 0) + #lines[#lines]
  api.nvim_win_set_cursor(0, { row + #lines, last_col })
  if is_whole then
    events.accepted(suggestion, session.buf)
    return true
  end
  local left = rest:sub(#text + 1)
  events.partly_accepted(suggestion, left)
  Suggestion.move_on(suggestion, left, #lines - 1)
  session.is_cycling = false
  session.drawer.show(session, left, row + #lines - 1, last_col)
  return true
end

--- Show another candidate.
---@param count integer
---@return boolean whether there is more than one
function M.select(count)
  local session = M.visible()
  if not session or #session.suggestions < 2 then
    return false
  end
  session.index = (session.index - 1 + count) % #session.suggestions + 1
  session.is_cycling = true
  if session.drawer.select then
    session.drawer.select(count)
  end
  local _, suggestion, rest = M.visible()
  if suggestion and rest then
    session.drawer.show(session, rest, cursor())
    events.shown(suggestion)
  end
  return true
end

--- Take the suggestion away until the next key.
---@return boolean whether there was one
function M.dismiss()
  local session = M.visible()
  if not session then
    return false
  end
  cancel(session)
  session.drawer.rest(session)
  clear(session)
  return true
end

---@param buf integer
local function moved(buf)
  local session = sessions[buf]
  if not session then
    return
  end
  session.num_retries = 0
  local visible, _, rest = M.visible()
  if not visible then
    clear(session)
  elseif not M.is_builtin() then
    session.drawer.show(session, rest, cursor())
  end
  if not M.is_builtin() then
    cancel(session)
    session.drawer.moved(session, config.get().debounce_ms)
  end
end

---@param buf integer
local function left(buf)
  local session = sessions[buf]
  if session then
    cancel(session)
    session.drawer.rest(session)
    clear(session)
  end
end

--- Begin to show suggestions of a client in a buffer.
---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  M.detach(buf)
  local session = {
    buf = buf,
    client_id = client.id,
    drawer = require(M.is_builtin() and 'fimble.builtin' or 'fimble.own'),
    suggestions = {},
    index = 1,
    is_cycling = false,
    num_asked = 0,
    num_answered = 0,
    num_retries = 0,
    was_invoked = false,
  }
  sessions[buf] = session
  session.drawer.attach(session, client, M)
  local group = api.nvim_create_augroup('fimble.ghost.' .. buf, {})
  local function on(names, callback)
    local options = { group = group, buffer = buf }
    options.callback = function()
      callback(buf)
    end
    api.nvim_create_autocmd(names, options)
  end
  on({ 'InsertEnter', 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, moved)
  on({ 'InsertLeave', 'BufLeave' }, left)
end

--- Stop that.
---@param buf integer
function M.detach(buf)
  local session = sessions[buf]
  if session then
    session.drawer.detach(session)
    left(buf)
    sessions[buf] = nil
    api.nvim_del_augroup_by_name('fimble.ghost.' .. buf)
  end
end

--- Show and ask nothing where suggestions have been switched off, and go on where they are on.
function M.refresh()
  for buf in pairs(sessions) do
    if not switch.is_on(buf) then
      left(buf)
    elseif buf == api.nvim_get_current_buf() then
      moved(buf)
    end
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
    local is_current = sessions[session.buf] == session and number == session.num_asked
    if is_current and session.num_answered ~= number then
      session.num_retries = session.num_retries + 1
      M.request(session)
    end
  end, RETRY_AFTER_MS)
end

--- Ask where the cursor is, as the model is ready now; what was asked before got nothing.
function M.resume()
  local session = sessions[api.nvim_get_current_buf()]
  if session and #session.suggestions == 0 and not session.pending then
    M.request(session)
  end
end

--- Note that a request has ended, whoever ended it.
---@param client_id integer
---@param request_id integer
---@param request { method: string, type: string, bufnr: integer }
function M.note_request(client_id, request_id, request)
  local session = request.method == METHOD and sessions[request.bufnr]
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

return M
