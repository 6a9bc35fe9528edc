--- Ghost text by `vim.lsp.inline_completion` of Neovim 0.12, which asks and draws.
---
--- It cancels nothing, and draws whatever it was answered last, wherever the cursor is by then. So
--- its requests pass through `ghost.ask`, which cancels the one before and drops answers that came
--- too late, and what it draws is given to it again, or taken from it, by answering that request.

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local wrapped = {} ---@type table<integer, true>

---@param session fimble.Session
---@param items lsp.InlineCompletionItem[]
local function answer(session, items)
  if session.deliver then
    -- What asked may be gone: anybody can switch Neovim's ghost text off.
    local context = { client_id = session.client_id, bufnr = session.buf }
    pcall(session.deliver, nil, { items = items }, context)
  end
end

--- Show the suggestion at the cursor, which was moved there.
---@param session fimble.Session
---@param _rest string
---@param row integer
---@param col integer
function M.show(session, _rest, row, col)
  local suggestion = session.suggestions[session.index]
  local client = vim.lsp.get_client_by_id(session.client_id)
  if not client or suggestion.before == '' or session.is_cycling then
    return -- it follows what is typed by itself
  end
  local line = vim.api.nvim_buf_get_lines(session.buf, row, row + 1, true)[1]
  local function position(byte)
    local character = vim.str_utfindex(line, client.offset_encoding, byte, false)
    return { line = row, character = character }
  end
  answer(session, {
    {
      insertText = suggestion.text,
      filterText = suggestion.text,
      range = { start = position(suggestion.col), ['end'] = position(col + #suggestion.tail) },
      command = suggestion.item.command,
    },
  })
  session.suggestions, session.index = { suggestion }, 1
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

--- Begin to ask for suggestions in a buffer.
---@param session fimble.Session
---@param client vim.lsp.Client
---@param ghost table
function M.attach(session, client, ghost)
  if not wrapped[client.id] then
    wrapped[client.id] = true
    local send = client.request
    ---@diagnostic disable-next-line: duplicate-set-field
    client.request = function(self, method, params, handler, buf)
      if method ~= METHOD or not handler then
        return send(self, method, params, handler, buf)
      end
      return ghost.ask(self, params, handler, buf, send)
    end
  end
  vim.lsp.inline_completion.enable(true, { bufnr = session.buf })
end

--- Stop that; the buffer's other clients are left alone.
---@param session fimble.Session
function M.detach(session)
  session.deliver = nil
end

--- Neovim asks by itself.
function M.moved() end

--- Neovim stops by itself.
function M.rest() end

return M
