--- Suggestions of each buffer: shown while they continue what is typed, accepted, dismissed.

local asking = require('fimble.asking')
local config = require('fimble.config')
local events = require('fimble.events')
local sessions = require('fimble.session')
local Suggestion = require('fimble.suggestion')
local switch = require('fimble.switch')

local api = vim.api
local cursor = sessions.cursor

local M = {}

--- Whether ghost text of Neovim's own is used.
---@return boolean
function M.is_builtin()
  return vim.lsp.inline_completion ~= nil and config.get().ghost_text ~= 'own'
end

---@return table
local function wanted_drawer()
  return require(M.is_builtin() and 'fimble.builtin' or 'fimble.own')
end

--- Return what is shown at the cursor and what is still to be typed of it; nil if nothing is.
---@return fimble.Session?
---@return fimble.Suggestion?
---@return string? rest
function M.visible()
  local session = sessions.current()
  local suggestion = session and session.suggestions[session.index]
  if not suggestion or not sessions.is_inserting() or not session.drawer.is_drawn(session) then
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
  elseif session.drawer.offer(session, row, col) then
    events.shown(session.suggestions[1])
  else
    session.suggestions = {} -- what nobody sees must not be accepted
  end
end

--- Ask at once, as someone wants suggestions.
---@return boolean whether that can be
function M.trigger()
  local session = sessions.current()
  if not session or not sessions.is_inserting() or not switch.is_on(session.buf) then
    return false
  end
  session.was_invoked = true
  asking.request(session)
  return true
end

--- Let what follows be undone by itself, and what is typed after it too.
---
--- The keys come before those that wait to be read.
---@param buf integer
local function begin_undo_step(buf)
  vim.bo[buf].undolevels = vim.bo[buf].undolevels
  api.nvim_feedkeys(vim.keycode('<Plug>(fimble-undo-step)'), 'mi', false)
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
  asking.cancel(session)
  if is_whole then
    clear(session)
  end
  begin_undo_step(session.buf)
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

--- Show another candidate of those that still continue what is typed.
---@param count integer
---@return boolean whether there is more than one
function M.select(count)
  local session = M.visible()
  if not session then
    return false
  end
  local num, index = #session.suggestions, session.index
  local row, col = cursor()
  repeat
    index = (index - 1 + count) % num + 1
    local rest = Suggestion.rest(session.suggestions[index], session.buf, row, col)
  until rest or index == session.index
  if index == session.index then
    return false
  end
  local distance = index - session.index
  session.index = index
  session.is_cycling = true
  if session.drawer.select then
    session.drawer.select(distance)
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
  asking.cancel(session)
  session.dismissed_at = sessions.place()
  session.drawer.rest(session)
  clear(session)
  return true
end

---@param buf integer
local function moved(buf)
  local session = sessions.all[buf]
  if not session then
    return
  end
  session.num_retries = 0
  local visible, _, rest = M.visible()
  if not visible then
    clear(session)
  end
  asking.cancel_if_moved(session)
  session.drawer.moved(session, rest)
end

---@param buf integer
local function left(buf)
  local session = sessions.all[buf]
  if session then
    asking.cancel(session)
    session.drawer.rest(session)
    clear(session)
  end
end

---@param buf integer
local function follow(buf)
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
  on('BufWipeout', M.detach)
end

--- Begin to show suggestions of a client in a buffer, at once if somebody types there.
---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  M.detach(buf)
  local session = {
    buf = buf,
    client_id = client.id,
    drawer = wanted_drawer(),
    take = take,
    suggestions = {},
    index = 1,
    is_cycling = false,
    num_asked = 0,
    num_answered = 0,
    num_retries = 0,
    was_invoked = false,
  }
  sessions.all[buf] = session
  session.drawer.attach(session, client)
  follow(buf)
  -- Neovim gets its own ghost text ready in the next round, and this is the one after that.
  vim.schedule(vim.schedule_wrap(function()
    asking.request(session)
  end))
end

--- Stop that.
---@param buf integer
---@param client_id? integer only if they are of this client
function M.detach(buf, client_id)
  local session = sessions.all[buf]
  if session and (not client_id or session.client_id == client_id) then
    left(buf)
    session.drawer.detach(session)
    sessions.all[buf] = nil
    api.nvim_del_augroup_by_name('fimble.ghost.' .. buf)
  end
end

--- Show and ask nothing where suggestions have been switched off, and go on where they are on.
function M.refresh()
  for buf, session in pairs(vim.tbl_extend('keep', {}, sessions.all)) do
    local client = vim.lsp.get_client_by_id(session.client_id)
    if client and session.drawer ~= wanted_drawer() then
      M.attach(client, buf)
    elseif not switch.is_on(buf) then
      left(buf)
    else
      asking.request(session)
    end
  end
end

return M
