/**
 * What each shell reads to complete `patchdrop`. A script gives `patchdrop completion-server` the words behind the program's
 * name, the last as far as it is typed, and reads lines of a name, a tab and a description, and `files` where a file may come,
 * too. Words are handed on as they stand: no shell runs what is typed. Ours, since the library's (tabtab) ran it in fish, and completed
 * neither the middle of a line nor a word that was begun.
 */
export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** Bash makes three words of `a:b`, and replaces the last: what stands before it is taken off the names. */
const bash = `_patchdrop() {
  local line last=$2 typed=\${COMP_LINE:0:COMP_POINT}
  typed=\${typed##*[[:space:]]}
  local before=\${typed%"$2"}
  [[ -z $2 && $typed == *[:=] ]] && last=\${typed: -1}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line != files ]]; then
      line=\${line%%$'\\t'*}
      COMPREPLY+=("\${line#"$before"}")
    elif (( \${#COMPREPLY[@]} == 0 )); then
      compopt -o default
    else
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$2")
    fi
  done < <(patchdrop completion-server -- "\${COMP_WORDS[@]:1:COMP_CWORD-1}" "$last" 2>/dev/null)
}
complete -F _patchdrop patchdrop
`;

const zsh = `#compdef patchdrop
_patchdrop() {
  local line
  local -a names
  integer files=0
  for line in "\${(@f)$(patchdrop completion-server -- "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
    case $line in
      (files) files=1 ;;
      (*$'\\t') names+=("\${\${line//:/\\\\:}%$'\\t'}") ;;
      (*$'\\t'*) names+=("\${\${line//:/\\\\:}/$'\\t'/:}") ;;
    esac
  done
  (( $#names )) && _describe value names
  (( files )) && { compset -P '--[^=]#='; _files }
}
if [[ $zsh_eval_context == *func ]]; then _patchdrop "$@"; else compdef _patchdrop patchdrop; fi
`;

const fish = `function __patchdrop_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l typed (commandline -ct)
    for line in (patchdrop completion-server -- $words "$typed" 2>/dev/null)
        if test "$line" = files
            set -l flag (string match -r -- '^--[^=]+=' "$typed")
            complete -C "'' "(string replace -r -- '^--[^=]+=' '' "$typed") | string replace -r -- '^' "$flag"
        else
            printf '%s\\n' $line
        end
    end
end
complete -c patchdrop -f -a '(__patchdrop_complete)'
`;

export const completionScripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
