;;; What a user of Emacs does to complete with fimble through Eglot, without hands.  -*- lexical-binding: t -*-

;; Reads {"command": [...], "options": {...}, "path": ..., "line": ..., "typed": ...} from the
;; environment, types at the end of a line as a person would, takes the first item of the list, and
;; prints what became of the buffer as JSON.

(require 'eglot)
(require 'json)
(require 'python)

(let* ((task (json-parse-string (getenv "EDITOR_TEST_TASK") :array-type 'list :object-type 'plist
                                :null-object nil :false-object :json-false))
       (options (plist-get task :options))
       (eglot-server-programs
        `((python-mode . (,@(plist-get task :command) :initializationOptions ,options))))
       (eglot-sync-connect 60)
       (eglot-autoshutdown t)
       (jsonrpc-default-request-timeout 60)
       (make-backup-files nil)
       (create-lockfiles nil))
  (find-file (plist-get task :path))
  (python-mode)
  (apply #'eglot (eglot--guess-contact))
  (let ((server (eglot-current-server)) picked)
    (goto-char (point-min))
    (forward-line (1- (plist-get task :line)))
    (end-of-line)
    ;; One change for each key, as typing makes them; Eglot sends them when it is idle or asked.
    (seq-doseq (key (plist-get task :typed))
      (insert key))
    (let* ((found (eglot-completion-at-point))
           (table (nth 2 found))
           (word (buffer-substring-no-properties (nth 0 found) (nth 1 found)))
           (items (all-completions word table)))
      (setq picked (car items))
      (when picked
        (delete-region (nth 0 found) (point))
        (insert picked)
        (funcall (plist-get (nthcdr 3 found) :exit-function) picked 'finished))
      (princ (json-encode
              (list :positionEncoding
                    (plist-get (eglot--capabilities server) :positionEncoding)
                    :items (vconcat (mapcar #'substring-no-properties items))
                    :text (buffer-substring-no-properties (point-min) (point-max))))))
    (set-buffer-modified-p nil)
    (eglot-shutdown server)))
