-- A view is security_invoker, or a security_barrier that applies the tenant itself: an ordinary view reads with its
-- owner's rights (ruling 9).
SELECT format('%I', relname) AS object, 'neither security_invoker nor security_barrier' AS fault
FROM pg_class
WHERE relnamespace IN ('public'::regnamespace, 'archive'::regnamespace)
  AND relkind = 'v'
  AND NOT coalesce(reloptions, '{}') && ARRAY['security_invoker=true', 'security_barrier=true']
ORDER BY 1
