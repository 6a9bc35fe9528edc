--- What the server is told about its suggestions.

local Suggestion = require('fimble.suggestion')

local M = {}

---@param suggestion fimble.Suggestion
---@return vim.lsp.Client?
local function client_of(suggestion)
  return vim.lsp.get_client_by_id(suggestion.client_id)
end

--- Tell that a suggestion is on the screen, once.
---@param suggestion fimble.Suggestion
function M.shown(suggestion)
  local client = client_of(suggestion)
  if client and not suggestion.is_told then
    suggestion.is_told = true
    client:notify('textDocument/didShowCompletion', { item = suggestion.item })
  end
end

--- Tell that a suggestion was taken to its end.
---@param suggestion fimble.Suggestion
---@param buf integer
function M.accepted(suggestion, buf)
  local client = client_of(suggestion)
  if client and suggestion.item.command then
    client:exec_cmd(suggestion.item.command, { bufnr = buf }, function() end)
  end
end

--- Tell that a suggestion was taken except for its `rest`.
---@param suggestion fimble.Suggestion
---@param rest string
function M.partly_accepted(suggestion, rest)
  local client = client_of(suggestion)
  if client then
    client:notify('textDocument/didPartiallyAcceptCompletion', {
      item = suggestion.item,
      acceptedLength = Suggestion.accepted_length(suggestion, rest),
    })
  end
end

return M
