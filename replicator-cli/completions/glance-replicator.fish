# Completions of glance-replicator for fish 3 or newer.
function __glance_replicator_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c glance-replicator -f -k -a '(__glance_replicator_complete)'
