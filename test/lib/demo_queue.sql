-- What the two workers of "./dev demo" work on.
\set ON_ERROR_STOP on
\pset footer off
\pset pager off
\set ECHO queries
SELECT namespace, action, detail FROM prism.apply($$
name: parcels
client_api: queue
consumers:
  - group: shipping
    ordering: key
$$);
CREATE TABLE shipped (parcel text, customer text, worker text, attempt integer);
SELECT prism.publish('parcels', 'parcel ' || i, key => 'customer-' || i % 4) IS NOT NULL AS published FROM generate_series(1, 6) AS i;
