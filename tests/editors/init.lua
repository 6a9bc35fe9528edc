-- What a user of Neovim 0.12 writes to get ghost text from fimble, and a record of what went over
-- the wire for the tests to look at.
vim.g.loaded_python3_provider = 0 -- else opening a Python file first looks at every Python there is
vim.o.swapfile = false
vim.o.shadafile = 'NONE'
vim.o.more = false
vim.o.messagesopt = 'wait:0,history:500' -- nobody is there to press Enter

local server = vim.json.decode(vim.env.EDITOR_TEST_SERVER)

-- A request that was answered without a result and without an error was cancelled by the server:
-- Neovim keeps that from its callers.
Requests, Notes, Exited = {}, {}, false

vim.notify = function(text)
  table.insert(Notes, text)
end

local function start(dispatchers)
  local rpc = vim.lsp.rpc.start(server.command, dispatchers)
  local request = rpc.request
  rpc.request = function(method, params, callback, on_reply)
    local record = { method = method, position = params and params.position, answered = false }
    table.insert(Requests, record)
    return request(method, params, function(err, result)
      record.error, record.result = err, result
      callback(err, result)
    end, function(id)
      record.answered = true
      if on_reply then
        on_reply(id)
      end
    end)
  end
  return rpc
end

vim.lsp.config('fimble', {
  cmd = start,
  filetypes = { 'python' },
  init_options = server.options,
  on_exit = function()
    Exited = true
  end,
})
vim.lsp.enable('fimble')

if vim.lsp.inline_completion then
  vim.lsp.inline_completion.enable()
  vim.keymap.set('i', '<Tab>', function()
    if not vim.lsp.inline_completion.get() then
      return '<Tab>'
    end
  end, { expr = true })
end
