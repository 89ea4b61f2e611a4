-- violation: careless()
CREATE FUNCTION careless() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
REVOKE ALL ON FUNCTION careless() FROM PUBLIC;
ALTER FUNCTION careless() OWNER TO ccb_definer;
-- violation: careless()
CREATE FUNCTION careless() RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'SELECT 1';
REVOKE ALL ON FUNCTION careless() FROM PUBLIC;
ALTER FUNCTION careless() OWNER TO ccb_definer;
-- violation: find_user(text)
GRANT EXECUTE ON FUNCTION find_user(text) TO PUBLIC;
-- violation: find_user(text)
ALTER FUNCTION find_user(text) OWNER TO SESSION_USER;
