-- What a user writes who has the folder nvim/ of this repository, and a record for the tests.
vim.g.loaded_python3_provider = 0 -- else opening a Python file first looks at every Python there is
vim.o.swapfile = false
vim.o.shadafile = 'NONE'
vim.o.more = false
if vim.fn.exists('+messagesopt') == 1 then
  vim.o.messagesopt = 'wait:0,history:500' -- nobody is there to press Enter
end

Notes, Requests, Exited = {}, {}, false
vim.notify = function(text)
  table.insert(Notes, text)
end

-- What a key does already has to go on where there is nothing to accept.
Pressed = {}
vim.keymap.set('i', '<C-]>', function()
  table.insert(Pressed, '<C-]>')
end)

local server = vim.json.decode(vim.env.EDITOR_TEST_SERVER)
local here = vim.fs.normalize(debug.getinfo(1, 'S').source:sub(2))
vim.opt.runtimepath:prepend((here:gsub('tests/editors/neovim_plugin/.*$', 'nvim')))
vim.g.fimble = { cmd = server.command, settings = server.options, keys = { dismiss = '<C-e>' } }
vim.o.laststatus = 2
vim.o.statusline = "%t [%{%v:lua.require'fimble'.statusline()%}]"
