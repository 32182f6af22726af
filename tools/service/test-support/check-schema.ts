type Schema = Readonly<Record<string, unknown>>;

/** What a value breaks of a JSON schema: the keywords that the OpenAPI document uses. */
export function checkSchema(
  value: unknown,
  schema: object,
  schemas: Readonly<Record<string, object>>,
  where = '$',
): readonly string[] {
  const rules = schema as Schema;
  const problems: string[] = [];
  for (const [keyword, rule] of Object.entries(rules)) {
    switch (keyword) {
      case '$ref': {
        const target = schemas[String(rule).replace('#/components/schemas/', '')];
        if (target === undefined) problems.push(`${where}: ${rule} does not exist`);
        else problems.push(...checkSchema(value, target, schemas, where));
        break;
      }
      case 'type':
        if (!([] as unknown[]).concat(rule).some((type) => isOfType(value, type)))
          problems.push(`${where}: not ${rule}`);
        break;
      case 'required':
        for (const name of rule as readonly string[])
          if (!Object.hasOwn(value as object, name)) problems.push(`${where}: no ${name}`);
        break;
      case 'properties':
        for (const [name, inner] of Object.entries(rule as Record<string, object>))
          if (Object.hasOwn(value as object, name))
            problems.push(
              ...checkSchema((value as Schema)[name], inner, schemas, `${where}.${name}`),
            );
        break;
      case 'additionalProperties':
        for (const name of Object.keys(value as object))
          if (!Object.hasOwn(rules.properties as object, name))
            problems.push(`${where}: ${name} is not described`);
        break;
      case 'items':
        for (const [i, item] of (value as readonly unknown[]).entries())
          problems.push(...checkSchema(item, rule as object, schemas, `${where}[${i}]`));
        break;
      case 'pattern':
        if (!new RegExp(rule as string).test(value as string))
          problems.push(`${where}: not ${rule}`);
        break;
      case 'minItems':
        if ((value as readonly unknown[]).length < Number(rule)) problems.push(`${where}: too few`);
        break;
      case 'minimum':
        if (Number(value) < Number(rule)) problems.push(`${where}: too small`);
        break;
      case 'maximum':
        if (Number(value) > Number(rule)) problems.push(`${where}: too large`);
        break;
      case 'format':
        if (Number.isNaN(Date.parse(String(value)))) problems.push(`${where}: not ${rule}`);
        break;
      case 'description':
        break;
      default:
        problems.push(`${where}: keyword ${keyword} is not known to this checker`);
    }
  }
  return problems;
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object')
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
