--- How a request ended and why, in a window.
---
--- Fields of the explanation may be missing or null: an older server knows fewer.

local client = require('fimble.client')
local window = require('fimble.window')

local M = {}

local STAGES = { 'waiting', 'retrieval', 'prompt', 'patch', 'prefill', 'decode', 'post' }
local BAR_WIDTH = 40

---@param object any
---@param ... string
---@return any value nil for null too
local function at(object, ...)
  for _, name in ipairs({ ... }) do
    if type(object) ~= 'table' then
      return nil
    end
    object = object[name]
  end
  return object ~= vim.NIL and object or nil
end

---@class fimble.Page
---@field lines string[]
---@field marks fimble.Mark[]
local Page = {}
Page.__index = Page

---@param text string
---@param group? string
function Page:add(text, group)
  for _, line in ipairs(vim.split(text, '\n', { plain = true })) do
    table.insert(self.lines, line)
    if group then
      local row = #self.lines - 1
      table.insert(self.marks, { row = row, first = 0, last = #line, group = group })
    end
  end
end

---@param name string
---@param text string
function Page:field(name, text)
  self:add(('%-10s%s'):format(name, text))
  local row = #self.lines - 1
  table.insert(self.marks, { row = row, first = 0, last = #name, group = 'Identifier' })
end

---@param page fimble.Page
---@param found table
local function head(page, found)
  page:add(at(found, 'sentence') or at(found, 'outcome') or 'nothing is known', 'Title')
  page:add('')
  local titles = { finish_reason = 'ended by', kept_from = 'kept from' }
  for _, name in ipairs({ 'reason', 'id', 'model', 'source', 'kept_from', 'finish_reason' }) do
    if at(found, name) then
      page:field(titles[name] or name, tostring(found[name]))
    end
  end
  if at(found, 'line') then
    local where = at(found, 'path') or at(found, 'uri') or ''
    where = vim.fn.fnamemodify(where, ':~:.')
    page:field('asked at', ('%s:%d:%d'):format(where, found.line, at(found, 'column') or 1))
  end
  if at(found, 'confidence') then
    page:field('sure', ('%.0f %%'):format(found.confidence * 100))
  end
  if at(found, 'exactness') then
    local age = at(found, 'age') or 0
    page:field(
      'cache',
      age > 0 and ('%s, %d edits old'):format(found.exactness, age) or found.exactness
    )
  end
end

---@param page fimble.Page
---@param found table
local function texts(page, found)
  local text = at(found, 'text')
  if text and text ~= '' then
    page:add('')
    page:add('text', 'Identifier')
    page:add('  ' .. text:gsub('\n', '\n  '), 'String')
  end
  for i, other in ipairs(at(found, 'candidates') or {}) do
    local candidate = type(other) == 'table' and at(other, 'text') or other
    if i > 1 and type(candidate) == 'string' then
      page:add(('  or: %s'):format(candidate:gsub('\n', '\n      ')), 'Comment')
    end
  end
end

---@param page fimble.Page
---@param found table
local function stages(page, found)
  local total = at(found, 'timings_ms', 'total')
  if not total then
    return
  end
  page:add('')
  page:field('time', ('%.0f ms'):format(total))
  local longest = 0.05
  for _, name in ipairs(STAGES) do
    longest = math.max(longest, at(found, 'timings_ms', name) or 0)
  end
  for _, name in ipairs(STAGES) do
    local ms = at(found, 'timings_ms', name)
    if ms and ms >= 0.05 then
      local bar = ('█'):rep(math.max(1, math.floor(ms / longest * BAR_WIDTH + 0.5)))
      page:add(('  %-10s%8.1f ms  %s'):format(name, ms, bar))
    end
  end
end

---@param page fimble.Page
---@param found table
local function prompt(page, found)
  local num_tokens = at(found, 'prompt', 'num_tokens')
  if num_tokens then
    local parts = {}
    for _, state in ipairs({ 'cached', 'patched', 'healed', 'new' }) do
      local n = at(found, 'prompt', 'num_' .. state)
        or at(found, 'prompt', ('num_%s_tokens'):format(state))
      if n then
        table.insert(parts, ('%d %s'):format(n, state))
      end
    end
    page:add('')
    page:field('prompt', ('%d tokens: %s'):format(num_tokens, table.concat(parts, ', ')))
  end
  local drafted = at(found, 'speculation', 'num_draft_tokens')
  if drafted and drafted > 0 then
    local accepted = at(found, 'speculation', 'num_accepted_tokens') or 0
    page:field('drafts', ('%d of %d accepted'):format(accepted, drafted))
  end
end

---@param page fimble.Page
---@param found table
local function context(page, found)
  local chunks = at(found, 'context') or {}
  if #chunks > 0 then
    page:add('')
    page:add('code of other files that the model saw', 'Identifier')
  end
  for _, chunk in ipairs(chunks) do
    local reason = at(chunk, 'reason') or at(chunk, 'source') or ''
    local lines = ('%s:%s-%s'):format(
      at(chunk, 'path') or '?',
      at(chunk, 'start_line') or '?',
      at(chunk, 'end_line') or '?'
    )
    page:add(('  %s  %.2f  %s'):format(lines, at(chunk, 'score') or 0, reason))
  end
end

---@param page fimble.Page
---@param found table
local function feedback(page, found)
  local accepted = at(found, 'feedback', 'accepted')
  if accepted or at(found, 'feedback', 'shown') then
    page:add('')
    local words = { all = 'accepted', part = 'accepted in part' }
    page:field('then', words[accepted] or 'shown, not accepted')
  end
end

--- Return an explanation as lines, and what of them is highlighted.
---@param found table
---@return string[]
---@return fimble.Mark[]
function M.lines(found)
  local page = setmetatable({ lines = {}, marks = {} }, Page)
  for _, part in ipairs({ head, texts, stages, prompt, context, feedback }) do
    part(page, found)
  end
  return page.lines, page.marks
end

--- Show why the last request of this buffer ended as it did, or the one of an id.
---@param id? string
function M.show(id)
  local params = { id = id }
  if not id then
    params.textDocument = vim.lsp.util.make_text_document_params(0)
  end
  client.ask('fimble/why', params, function(found)
    if not found then
      local what = id and 'nothing is known of this request any more'
        or 'nothing has been asked in this file'
      vim.notify('fimble: ' .. what)
      return
    end
    window.float('fimble: why', M.lines(found))
  end)
end

return M
