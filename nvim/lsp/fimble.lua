-- The language server, for `vim.lsp.enable('fimble')`; `vim.lsp.config('fimble', …)` changes it.
return require('fimble.client').config()
