--- A suggestion, and whether it still continues what stands at the cursor.
---
--- Columns are bytes, rows count from 0.

---@class fimble.Suggestion
---@field item lsp.InlineCompletionItem as the server sent it
---@field client_id integer
---@field row integer where `text` begins
---@field col integer
---@field text string what will stand from there on, what is there already included
---@field before string what was accepted of the item's text and now stands before `text`
---@field tail string what it replaces behind the cursor
---@field behind string all that stands behind the cursor on its line, `tail` included
---@field num_lines integer of the buffer
---@field is_told boolean whether the server knows that it was shown

local M = {}

---@param line string
---@param encoding string
---@param character integer
---@return integer
local function to_byte(line, encoding, character)
  return vim.str_byteindex(line, encoding, character, false)
end

--- Return an item as a suggestion at the cursor; nil for what cannot be shown there.
---@param item lsp.InlineCompletionItem
---@param client vim.lsp.Client
---@param buf integer
---@param row integer
---@param col integer
---@return fimble.Suggestion?
function M.new(item, client, buf, row, col)
  if type(item.insertText) ~= 'string' then
    return nil
  end
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, true)[1]
  local first, last = col, col
  if item.range then
    if item.range.start.line ~= row or item.range['end'].line ~= row then
      return nil
    end
    first = to_byte(line, client.offset_encoding, item.range.start.character)
    last = to_byte(line, client.offset_encoding, item.range['end'].character)
  end
  if first > col or last < col then
    return nil
  end
  return {
    item = item,
    client_id = client.id,
    row = row,
    col = first,
    text = (item.insertText:gsub('\r\n', '\n')),
    before = '',
    tail = line:sub(col + 1, last),
    behind = line:sub(col + 1),
    num_lines = vim.api.nvim_buf_line_count(buf),
    is_told = false,
  }
end

--- Return what is still to be typed of a suggestion; nil if it continues something else.
---@param suggestion fimble.Suggestion
---@param buf integer
---@param row integer
---@param col integer
---@return string?
function M.rest(suggestion, buf, row, col)
  local is_near = row == suggestion.row and col >= suggestion.col
  if not is_near or vim.api.nvim_buf_line_count(buf) ~= suggestion.num_lines then
    return nil
  end
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, true)[1]
  local typed = line:sub(suggestion.col + 1, col)
  if line:sub(col + 1) ~= suggestion.behind or not vim.startswith(suggestion.text, typed) then
    return nil
  end
  local rest = suggestion.text:sub(#typed + 1)
  return rest ~= suggestion.tail and rest ~= '' and rest or nil
end

--- Return what is inserted at the cursor, if all that it replaces comes back behind that.
---@param suggestion fimble.Suggestion
---@param rest string
---@return string? nil if something of what stands behind the cursor is really replaced
function M.inserted(suggestion, rest)
  local tail = suggestion.tail
  if tail == '' then
    return rest
  elseif not rest:find('\n', 1, true) and vim.endswith(rest, tail) then
    return rest:sub(1, #rest - #tail)
  end
end

--- Move what begins a suggestion over line ends that were accepted before the cursor.
---@param suggestion fimble.Suggestion
---@param rest string what is left of it
---@param num_new_lines integer
function M.move_on(suggestion, rest, num_new_lines)
  if num_new_lines == 0 then
    return
  end
  local accepted = suggestion.text:sub(1, #suggestion.text - #rest)
  local line_start = accepted:match('.*\n()')
  suggestion.before = suggestion.before .. accepted:sub(1, line_start - 1)
  suggestion.text = suggestion.text:sub(line_start)
  suggestion.row = suggestion.row + num_new_lines
  suggestion.col = 0
  suggestion.num_lines = suggestion.num_lines + num_new_lines
end

--- Return how much of the item's text stands before `rest`, in units of UTF-16.
---@param suggestion fimble.Suggestion
---@param rest string
---@return integer
function M.accepted_length(suggestion, rest)
  local text = suggestion.before .. suggestion.text:sub(1, #suggestion.text - #rest)
  if suggestion.item.insertText:find('\r\n', 1, true) then
    text = text:gsub('\n', '\r\n')
  end
  return vim.str_utfindex(text, 'utf-16')
end

--- The parts of a suggestion that can be accepted: each returns the beginning of `rest`.
M.parts = {}

---@param rest string
---@return string
function M.parts.all(rest)
  return rest
end

--- A word or a run of signs, with the blanks and line ends before it.
---@param rest string
---@return string
function M.parts.word(rest)
  return rest:match('^%s*[%w_\128-\255]+') or rest:match('^%s*[^%w%s_\128-\255]+') or rest
end

--- The rest of the line; at its end, the next line.
---@param rest string
---@return string
function M.parts.line(rest)
  return rest:match('^\n*[^\n]*')
end

return M
