-- Starts fimble with its defaults; `require('fimble').setup` is needed only to change them.
if vim.g.loaded_fimble then
  return
end
vim.g.loaded_fimble = true

if vim.fn.has('nvim-0.11') == 0 then
  vim.notify_once('fimble needs Neovim 0.11 or later', vim.log.levels.WARN)
  return
end

require('fimble').start()
