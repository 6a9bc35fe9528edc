--- Ghost text by `vim.lsp.inline_completion` of Neovim 0.12, which asks and draws.
---
--- It cancels nothing, and draws whatever it was answered last, wherever the cursor is by then. So
--- its requests pass through `asking`, which cancels the one before and drops answers that came too
--- late, and what it draws is given to it, or taken from it, by answering its request.

local asking = require('fimble.asking')
local own = require('fimble.own')
local Suggestion = require('fimble.suggestion')

local M = {}

local SPACE = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')

---@param session fimble.Session
---@param items lsp.InlineCompletionItem[]
---@return boolean whether Neovim has taken them
local function answer(session, items)
  if not session.deliver then
    return false
  end
  -- What asked may be gone: anybody can switch Neovim's ghost text off.
  local context = { client_id = session.client_id, bufnr = session.buf }
  local ok = pcall(session.deliver, nil, { items = items }, context)
  if not ok then
    session.deliver = nil
  end
  return ok
end

--- Return an item that draws a suggestion at the cursor.
---
--- Neovim draws over what stands behind the cursor wherever an item replaces anything, and be it
--- only what was typed. So an item replaces nothing here if that comes to the same text.
---@param session fimble.Session
---@param suggestion fimble.Suggestion
---@param row integer
---@param col integer
---@return lsp.InlineCompletionItem?
local function drawn(session, suggestion, row, col)
  local client = vim.lsp.get_client_by_id(session.client_id)
  local rest = Suggestion.rest(suggestion, session.buf, row, col)
  if not client or not rest then
    return nil
  end
  local line = vim.api.nvim_buf_get_lines(session.buf, row, row + 1, true)[1]
  local function position(byte)
    local character = vim.str_utfindex(line, client.offset_encoding, byte, false)
    return { line = row, character = character }
  end
  local inserted = Suggestion.inserted(suggestion, rest)
  local last = inserted and col or col + #suggestion.tail
  return {
    insertText = inserted or rest,
    range = { start = position(col), ['end'] = position(last) },
    command = suggestion.item.command,
  }
end

--- Show what has been answered, the first suggestion foremost.
---@param session fimble.Session
---@param row integer
---@param col integer
---@return boolean whether it is on the screen
function M.offer(session, row, col)
  local items = {}
  for _, suggestion in ipairs(session.suggestions) do
    table.insert(items, drawn(session, suggestion, row, col))
  end
  return answer(session, items) and M.is_drawn(session)
end

--- Whether ghost text of Neovim's is there; others can take it away.
---@param session fimble.Session
---@return boolean
function M.is_drawn(session)
  return #vim.api.nvim_buf_get_extmarks(session.buf, SPACE, 0, -1, { limit = 1 }) > 0
end

--- Show the suggestion at the cursor, which was moved there.
---@param session fimble.Session
---@param _rest string
---@param row integer
---@param col integer
function M.show(session, _rest, row, col)
  local suggestion = session.suggestions[session.index]
  if suggestion.before == '' or session.is_cycling then
    return -- it follows what is typed by itself
  end
  session.suggestions, session.index = { suggestion }, 1
  M.offer(session, row, col)
end

--- Take it off the screen and out of Neovim's hands.
---@param session fimble.Session
function M.hide(session)
  answer(session, {})
end

--- Move to another candidate.
---@param count integer
function M.select(count)
  vim.lsp.inline_completion.select({ count = count })
end

--- Begin to show suggestions in a buffer.
---@param session fimble.Session
---@param client vim.lsp.Client
function M.attach(session, client)
  asking.intercept(client)
  own.unsilence(client)
  vim.lsp.inline_completion.enable(true, { bufnr = session.buf })
end

--- Stop that; the buffer's other clients are left alone.
---@param session fimble.Session
function M.detach(session)
  session.deliver = nil
end

--- Ask as Neovim does, or have it ask, if it never has in this buffer.
---@param session fimble.Session
---@param client vim.lsp.Client
function M.ask(session, client)
  if session.deliver then
    asking.send(session, client)
    return
  end
  -- It asks when insert mode begins; without ghost text of its own there is no such group.
  local group = 'nvim.lsp.inline_completion:' .. session.buf
  local options = { group = group, buffer = session.buf, modeline = false }
  pcall(vim.api.nvim_exec_autocmds, 'InsertEnter', options)
end

--- Neovim draws and asks by itself.
function M.moved() end

--- Neovim stops by itself.
function M.rest() end

return M
